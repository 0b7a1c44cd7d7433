//! From the configuration to the router. Only this file knows both.

use super::{Pattern, Route, Router, Rule, overlaps, take_no_image};
use crate::config::{Config, DropConfig, NamePattern};
use crate::domain::Readiness;
use std::path::Path;

/// Why the drop folders of a configuration cannot be used, with every problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RoutingProblems(pub String);

/// The routing rules of all products, in file order; `product` is the index into `config.products`.
pub fn rules_of(config: &Config) -> Vec<Rule> {
    let drops = config.products.iter().enumerate().flat_map(|(product, p)| p.drop.iter().map(move |drop| (product, drop)));
    drops.map(|(product, drop)| rule(product, drop)).collect()
}

fn rule(product: usize, drop: &DropConfig) -> Rule {
    Rule {
        product,
        root: drop.path.clone(),
        recursive: drop.recursive,
        pattern: match &drop.pattern {
            NamePattern::Glob(glob) => Pattern::Glob(glob.clone()),
            NamePattern::Regex(regex) => Pattern::Regex(regex.clone()),
        },
        exclude: drop.exclude.clone(),
        readiness: drop.ready.clone(),
    }
}

/// Says which folders below this drop folder the daemon scans and watches.
pub fn enters(drop: &DropConfig) -> impl Fn(&Path) -> bool {
    let router = Router::new(vec![rule(0, drop)]).ok();
    move |folder| router.as_ref().is_some_and(|router| router.enters(folder))
}

/// Builds the router for the products that are on. Refuses rules of different products that would take the same file while both are on, and
/// rules that can take no image. The error is [`RoutingProblems`], with one line per problem.
pub fn check_routing(config: &Config) -> Result<Router, RoutingProblems> {
    let problems = routing_problems(config);
    if !problems.is_empty() {
        let count = problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        let lines: Vec<String> = problems.iter().map(|(key, message)| format!("\n  {key}: {message}")).collect();
        return Err(RoutingProblems(format!("the drop folders of the configuration have {count} {noun}:{}", lines.concat())));
    }
    router(config, |product| config.is_on(product))
}

fn router(config: &Config, takes_part: impl Fn(&str) -> bool) -> Result<Router, RoutingProblems> {
    let named = |rule: &Rule| config.products.get(rule.product).is_some_and(|product| takes_part(&product.name));
    Router::new(rules_of(config).into_iter().filter(named).collect()).map_err(|e| RoutingProblems(e.to_string()))
}

/// Finds the product of a failed image that the daemon tries again. An image of a product that is off stays with that product.
pub struct Owners<'a> {
    config: &'a Config,
    on: Router,
    off: Vec<(&'a str, Router)>,
}

impl<'a> Owners<'a> {
    /// For the profile in use.
    ///
    /// # Errors
    /// Like [`check_routing`].
    pub fn new(config: &'a Config) -> Result<Self, RoutingProblems> {
        let off = config.products.iter().map(|product| product.name.as_str()).filter(|product| !config.is_on(product));
        let off = off.map(|off| router(config, |product| product == off).map(|router| (off, router))).collect::<Result<_, _>>()?;
        Ok(Self { config, on: check_routing(config)?, off })
    }

    /// The present product of an image that belonged to `before`; `None` when no product takes it.
    pub fn product(&self, image: &Path, before: Option<&str>) -> Option<String> {
        let own = self.off.iter().find(|(product, _)| Some(*product) == before).map(|(_, router)| router);
        match own.map(|own| own.route(image)).filter(|route| matches!(route, Route::Product(_))).unwrap_or_else(|| self.on.route(image)) {
            Route::Product(rule) => self.config.products.get(rule.product).map(|product| product.name.clone()),
            Route::Unrouted | Route::Ignored => None,
        }
    }
}

/// The problems of the rules, as (key, reason and remedy); empty when there is none.
pub fn routing_problems(config: &Config) -> Vec<(String, String)> {
    let rules = rules_of(config);
    let names: Vec<String> = config.products.iter().map(|p| p.name.clone()).collect();
    let keys: Vec<String> = (config.products.iter().enumerate())
        .flat_map(|(i, p)| (0..p.drop.len()).map(move |j| format!("products[{i}].drop[{j}]")))
        .collect();
    let barren = take_no_image(&rules).into_iter().map(|rule| {
        let message = "its `match` or `regex`, less what `exclude` leaves out, fits no image; names of images end in .jpg, .jpeg, .png, .bmp, .tif or .tiff and do not begin with a dot";
        (keys[rule].clone(), message.to_owned())
    });
    let shared = overlaps(&rules, &names, config.on_together()).into_iter().map(|o| (keys[o.second].clone(), o.message));
    barren.chain(shared).collect()
}

/// The suffixes of marker files in use, each once.
pub fn markers(config: &Config) -> Vec<String> {
    let drops = config.products.iter().flat_map(|product| &product.drop);
    let mut markers: Vec<String> =
        drops.filter_map(|drop| if let Readiness::Marker(suffix) = &drop.ready { Some(suffix.clone()) } else { None }).collect();
    markers.sort();
    markers.dedup();
    markers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(first: &str, second: &str) -> Config {
        let text = format!(
            "database: /h.db\nproducts:\n- {{name: a, drop: [{{path: /cam, {first}}}], ok: /a/ok, bank: /a}}\n- {{name: b, drop: [{{path: /cam, {second}}}], ok: /b/ok, bank: /b}}\n"
        );
        Config::parse(&text).unwrap()
    }

    #[test]
    fn a_sound_configuration_becomes_a_router() {
        let router = check_routing(&config("match: 'front_*'", "regex: '^back_'")).unwrap();
        assert!(matches!(router.route(Path::new("/cam/x/back_1.png")), Route::Product(rule) if rule.product == 1));
        assert_eq!(router.roots().len(), 1);
    }

    #[test]
    fn overlaps_and_barren_patterns_are_listed_together() {
        let error = check_routing(&config("match: '*'", "match: '*.jpg'")).unwrap_err();
        assert!(error.to_string().contains("1 problem:\n  products[1].drop[0]: products `a` and `b` would both take"), "{error}");
        let error = check_routing(&config("match: '*.jpgg'", "match: '*.txt'")).unwrap_err();
        assert!(error.to_string().contains("2 problems"), "{error}");
    }

    #[test]
    fn products_that_are_never_on_together_may_take_the_same_files() {
        let text = |profiles: &str| {
            let product = |name: &str| format!("- {{name: {name}, drop: [{{path: /cam}}], ok: /{name}/ok, bank: /{name}}}\n");
            format!("database: /h.db\nproducts:\n{}profiles: {profiles}\nprofile: day\n", ["a", "b"].map(product).concat())
        };
        let image = Path::new("/cam/1.png");
        let mut config = Config::parse(&text("{day: [a], night: [b]}")).unwrap();
        for (profile, index) in [("day", 0), ("night", 1)] {
            config.profile = Some(profile.into());
            let router = check_routing(&config).unwrap();
            assert!(matches!(router.route(image), Route::Product(rule) if rule.product == index), "{profile}");
            let owners = Owners::new(&config).unwrap();
            assert_eq!(owners.product(image, Some("a")).as_deref(), Some("a"), "also while it is off");
            assert_eq!(owners.product(image, None).as_deref(), Some(["a", "b"][index]));
            assert_eq!(owners.product(Path::new("/else/1.png"), Some("a")), None);
        }
        let problems = routing_problems(&Config::parse(&text("{day: [a, b]}")).unwrap());
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(routing_problems(&Config::parse(&text("{day: [a]}")).unwrap()).len(), 1, "b is always on");
    }

    #[test]
    fn the_example_configuration_can_be_routed() {
        assert_eq!(routing_problems(&Config::parse(include_str!("../../config.yaml.example")).unwrap()), Vec::new());
    }
}
