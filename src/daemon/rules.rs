//! From the configuration to the router: the one place that knows both.

use crate::config::{Config, NamePattern};
use crate::error::FatalError;
use crate::inspection::Readiness;
use crate::routing::{Pattern, Router, Rule, overlaps, takes_no_image};

/// The routing rules of all products, in file order; `product` is the index into `config.products`.
pub fn rules_of(config: &Config) -> Vec<Rule> {
    let drops = config.products.iter().enumerate().flat_map(|(product, p)| p.drop.iter().map(move |drop| (product, drop)));
    drops
        .map(|(product, drop)| Rule {
            product,
            root: drop.path.clone(),
            recursive: drop.recursive,
            pattern: match &drop.pattern {
                NamePattern::Glob(glob) => Pattern::Glob(glob.clone()),
                NamePattern::Regex(regex) => Pattern::Regex(regex.clone()),
            },
            readiness: drop.ready.clone(),
        })
        .collect()
}

/// Builds the router. Rules of different products that would take the same file are refused, as are rules that can take no image;
/// the error is [`FatalError::Config`] with one line per problem.
pub fn check_routing(config: &Config) -> Result<Router, FatalError> {
    let problems = routing_problems(config);
    if !problems.is_empty() {
        let count = problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        let lines: Vec<String> = problems.iter().map(|(key, message)| format!("\n  {key}: {message}")).collect();
        return Err(FatalError::Config(format!("the drop folders of the configuration have {count} {noun}:{}", lines.concat())));
    }
    Router::new(rules_of(config)).map_err(|e| FatalError::Config(e.to_string()))
}

/// What is wrong with the rules, as (key, reason and remedy); empty when all is well.
pub fn routing_problems(config: &Config) -> Vec<(String, String)> {
    let rules = rules_of(config);
    let names: Vec<String> = config.products.iter().map(|p| p.name.clone()).collect();
    let keys: Vec<String> = (config.products.iter().enumerate())
        .flat_map(|(i, p)| (0..p.drop.len()).map(move |j| format!("products[{i}].drop[{j}]")))
        .collect();
    let barren = rules.iter().zip(&keys).filter(|(rule, _)| takes_no_image(rule)).map(|(_, key)| {
        let message = "its `match` or `regex` fits no image; names of images end in .jpg, .jpeg, .png, .bmp, .tif or .tiff and do not begin with a dot";
        (key.clone(), message.to_owned())
    });
    let shared = overlaps(&rules, &names).into_iter().map(|o| (keys[o.second].clone(), o.message));
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
    use crate::routing::Route;
    use std::path::Path;

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
        assert_eq!(error.exit_code(), 78);
        assert!(error.to_string().contains("1 problem:\n  products[1].drop[0]: products `a` and `b` would both take"), "{error}");
        let error = check_routing(&config("match: '*.jpgg'", "match: '*.txt'")).unwrap_err();
        assert!(error.to_string().contains("2 problems"), "{error}");
    }

    #[test]
    fn the_example_configuration_can_be_routed() {
        assert_eq!(routing_problems(&Config::parse(include_str!("../../config.yaml.example")).unwrap()), Vec::new());
    }
}
