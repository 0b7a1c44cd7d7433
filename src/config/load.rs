//! A file → [`Config`]: YAML → the shape of the sections (unknown keys refused) → every problem at once, each with its position, its key
//! path and its remedy → the configuration. This code does not check facts about the machine (missing folders, permissions, limits).

use super::collector::Problems;
use super::defaults::merge_defaults;
use super::document::{self, Config, RawConfig};
use super::error::ConfigError;
use super::{shaped, size};
use crate::yaml::positions::Positions;
use crate::yaml::problems::{ConfigProblem, ConfigProblems};
use crate::yaml::reader::read_value;
use serde_yaml::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

impl Config {
    /// Reads and checks the file. Relative paths in it are resolved against its folder. For products that name no backbone, the weights on
    /// this machine decide; a text that is only parsed has `resnet50` for them.
    ///
    /// # Errors
    /// A file that cannot be read or has problems.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let bytes = size::read(path).map_err(|reason| ConfigError::Read { path: path.into(), reason })?;
        let text =
            String::from_utf8(bytes).map_err(|error| ConfigError::NotUtf8 { path: path.into(), at: error.utf8_error().valid_up_to() })?;
        let whole = std::path::absolute(path).map_err(|reason| ConfigError::Resolve { path: path.into(), reason })?;
        let read = located(&text, |text| read_and_check(text, whole.parent(), true));
        read.map_err(|problems| ConfigError::Problems { path: path.into(), problems })
    }

    /// Reads and checks a text. Relative paths are refused, because there is no file to start from.
    ///
    /// # Errors
    /// The problems of the text.
    pub fn parse(text: &str) -> Result<Self, ConfigProblems> {
        Self::parse_in(text, None)
    }

    /// Reads and checks a text. Relative paths are resolved against `folder`; without a folder they are refused.
    ///
    /// # Errors
    /// The problems of the text.
    pub fn parse_in(text: &str, folder: Option<&Path>) -> Result<Self, ConfigProblems> {
        located(text, |text| read_and_check(text, folder, false))
    }

    /// The database in a file that is otherwise not usable.
    pub fn database_of(path: &Path) -> Option<PathBuf> {
        let text = String::from_utf8(size::read(path).ok()?).ok()?;
        let named = match read(without_mark(&text)) {
            Ok(read) => read.raw.database.map(|path| path.0),
            Err(_) => text.lines().find_map(|line| line.strip_prefix("database:")).map(|value| value.trim().into()),
        };
        Some(std::path::absolute(path).ok()?.parent()?.join(named?))
    }
}

/// A file as far as it could be read.
struct Read {
    /// The sound part, with `defaults` merged into each product.
    raw: RawConfig,
    /// The same as JSON, with only the keys that the file has.
    document: serde_json::Value,
    /// For each product the keys, relative to it, that came from `defaults`.
    inherited: Vec<BTreeSet<String>>,
    /// Unknown keys and values of the wrong type.
    problems: Vec<ConfigProblem>,
}

/// The error is for a text that is not YAML; then there is nothing more to check.
fn read(text: &str) -> Result<Read, Vec<ConfigProblem>> {
    let document = shaped::parse(text)?;
    let products = document.get("products").and_then(Value::as_sequence).map_or(0, Vec::len);
    if products > size::PRODUCTS {
        let message = format!("has {products} entries, and {} is the most; give the others to another daemon", size::PRODUCTS);
        return Err(vec![ConfigProblem::of_key("products", message)]);
    }
    let (mut sound, problems) = shaped::keep_sound::<RawConfig>(document);
    let inherited = merge_defaults(&mut sound);
    let raw = read_value(&sound).map_err(|error| vec![ConfigProblem::of_file(error.explain(None))])?;
    let document = serde_yaml::from_value(sound).map_err(|error| vec![ConfigProblem::of_file(error.to_string())])?;
    Ok(Read { raw, document, inherited, problems })
}

/// What `check` gives for the text without its byte-order mark; its problems with their positions.
fn located<T>(text: &str, check: impl Fn(&str) -> Result<T, Vec<ConfigProblem>>) -> Result<T, ConfigProblems> {
    let text = without_mark(text);
    check(text).map_err(|problems| ConfigProblems(with_positions(text, problems)))
}

fn read_and_check(text: &str, folder: Option<&Path>, of_machine: bool) -> Result<Config, Vec<ConfigProblem>> {
    let Read { raw, document, inherited, problems } = read(text)?;
    let mut problems = Problems::new(problems, folder);
    let config = document::check(raw, &inherited, document, of_machine, &mut problems);
    let found = problems.into_found();
    if found.is_empty() { Ok(config) } else { Err(found) }
}

/// Adds the position of each problem's key.
fn with_positions(text: &str, mut problems: Vec<ConfigProblem>) -> Vec<ConfigProblem> {
    let is_open = |problem: &ConfigProblem| problem.position.is_none() && !problem.is_of_file();
    if problems.iter().any(is_open) {
        let positions = Positions::of(text);
        for problem in problems.iter_mut().filter(|problem| is_open(problem)) {
            problem.position = positions.of_key(&problem.key);
        }
    }
    problems
}

/// The text without its byte-order mark.
fn without_mark(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::example::EXAMPLE;
    use crate::config::key_path::{Step, spell};
    use crate::config::sections::product::ProductConfig;
    use serde_yaml::Mapping;
    use std::time::{Duration, Instant};

    const SMALL: &str = "
database: /h.db
products:
- name: a
  drop: [{path: /drop}]
  ok: /a/ok
  bank: /a
";

    fn problems(text: &str) -> Vec<String> {
        match read(text) {
            Ok(read) => read.problems.iter().map(ToString::to_string).collect(),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    /// If the example shows another value than the default, the comment of the key says so.
    #[test]
    fn the_example_states_the_defaults() {
        let mut example = Config::parse(EXAMPLE).unwrap();
        let plain = Config::parse(SMALL).unwrap();
        assert_eq!(
            (&example.engine, &example.intake, &example.metrics, &example.mqtt),
            (&plain.engine, &plain.intake, &plain.metrics, &None)
        );
        let ProductConfig { name, drop, ok, bank, reference, .. } = plain.products[0].clone();
        let first = example.products.remove(0);
        assert_eq!(
            (&first.drop[0].pattern, first.drop[0].recursive, &first.drop[0].ready),
            (&drop[0].pattern, drop[0].recursive, &drop[0].ready)
        );
        assert_eq!(ProductConfig { name, drop, ok, bank, reference, ..first }, plain.products[0]);
    }

    #[test]
    fn defaults_reach_every_product_and_their_problems_name_them() {
        let text = format!("{SMALL}- {{name: b, drop: [{{path: /b}}], ok: /b_ok, bank: /b_bank, build: {{stride: 4}}}}\n");
        let config = Config::parse(&format!("{text}defaults: {{build: {{stride: 1, seed: 5}}, mask: {{open: 2}}}}\n")).unwrap();
        let seen: Vec<_> = config.products.iter().map(|p| (p.build.stride, p.build.seed, p.mask.open)).collect();
        assert_eq!(seen, [(1, 5, 2), (4, 5, 2)]);
        let problems = Config::parse(&format!("{text}defaults: {{build: {{shorter: 10}}}}\n")).unwrap_err();
        assert_eq!(problems.to_string(), "  line 9, column 20: defaults.build.shorter: 10 is out of range; use 32 to 8192 pixels");
    }

    #[test]
    fn relative_paths_start_at_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("line.yaml");
        std::fs::write(&file, SMALL.replace("/h.db", "h.db").replace("/a/ok", "./sub/../a/ok")).unwrap();
        let config = Config::load(&file).unwrap();
        assert_eq!(config.database, folder.path().join("h.db"));
        assert_eq!(config.products[0].ok, folder.path().join("a/ok"));
        let problems = Config::parse(&SMALL.replace("/h.db", "h.db")).unwrap_err();
        assert!(problems.to_string().starts_with("  line 2, column 1: database: is relative"), "{problems}");
    }

    #[test]
    fn files_from_windows_are_read() {
        assert!(Config::parse(&format!("\u{feff}{}", SMALL.trim_start().replace('\n', "\r\n"))).is_ok());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.yaml");
        let error = Config::load(&missing).unwrap_err();
        assert!(error.to_string().contains("missing.yaml"), "{error}");
        std::fs::write(&missing, b"a: \xff").unwrap();
        assert!(Config::load(&missing).unwrap_err().to_string().contains("is not UTF-8 text (at byte 3)"));
    }

    fn compare_with_schema(value: &Value, path: &mut Vec<Step>, missing: &mut Vec<String>) {
        let entries: Vec<(Step, Value)> = match value {
            Value::Mapping(m) => m.iter().map(|(k, v)| (Step::Key(k.clone()), v.clone())).collect(),
            // Entries of a list show different keys (`match` or `regex`), so they count together.
            Value::Sequence(s) if s.iter().any(Value::is_mapping) => {
                let mut all = Mapping::new();
                for (k, v) in s.iter().filter_map(Value::as_mapping).flatten() {
                    let better = all.get(k).is_none_or(|old: &Value| !old.is_mapping());
                    if better {
                        all.insert(k.clone(), v.clone());
                    }
                }
                vec![(Step::Index(0), Value::Mapping(all))]
            }
            _ => return,
        };
        let is_weights = matches!(path.last(), Some(Step::Key(Value::String(key))) if key == "weights" || key == "defaults");
        if value.is_mapping() && !is_weights {
            for key in shaped::known_keys::<RawConfig>(path) {
                if value.get(key).is_none() {
                    missing.push(format!("{}.{key}", spell(path)));
                }
            }
        }
        for (step, value) in entries {
            path.push(step);
            compare_with_schema(&value, path, missing);
            path.pop();
        }
    }

    #[test]
    fn the_example_has_every_key_and_no_other() {
        let text = EXAMPLE;
        assert_eq!(problems(text), Vec::<String>::new());
        let mut missing = Vec::new();
        compare_with_schema(&serde_yaml::from_str(text).unwrap(), &mut Vec::new(), &mut missing);
        // `ready` has two keys that exclude each other.
        missing.retain(|key| key != "products[0].drop[0].ready.marker");
        assert_eq!(missing, Vec::<String>::new(), "keys that the schema knows and the example does not show");
    }

    #[test]
    fn the_comparison_with_the_schema_can_fail() {
        let mut missing = Vec::new();
        compare_with_schema(&serde_yaml::from_str("database: x\nengine: {device: cpu}").unwrap(), &mut Vec::new(), &mut missing);
        for key in [".intake", ".products", "engine.precision", "engine.weights"] {
            assert!(missing.iter().any(|m| m == key), "{key} in {missing:?}");
        }
    }

    #[test]
    fn int8_is_for_convolutions_on_the_processor() {
        let with = |engine: &str, backbone: &str| {
            let folders = "drop: [{path: /srv/drop}], ok: /srv/ok, bank: /srv/bank";
            let text =
                format!("database: /x/h.db\nengine: {engine}\nproducts:\n- {{name: A, {folders}, build: {{backbone: {backbone}}}}}\n");
            Config::parse(&text).map_or_else(|problems| problems.0.into_iter().map(|problem| problem.message).collect(), |_| Vec::new())
        };
        assert_eq!(
            with("{precision: int8, device: cuda:1}", "dinov2_vits14"),
            [
                "int8 is for the processor, not for `device: cuda:1`; use auto",
                "int8 is not for `dinov2_vits14`, the backbone of products[0]; use auto, or another backbone"
            ]
        );
        assert_eq!(with("{precision: int8}", "resnet50"), Vec::<String>::new());
        assert_eq!(with("{precision: bfloat16, device: cuda:1}", "dinov2_vits14"), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_found_in_one_go() {
        let found = problems(
            "databse: /x\nengine: {threads: -1, weights: {resnet5: /w}}\nintake: {rescan: 30}\nproducts:\n- name: 7\n  build: {shorter: big, layers: [layer2, layer9], cofeset: 1}\n- rebuild: {max_wait: 5 min}\n  drop: /srv\n",
        );
        let keys: Vec<&str> = found.iter().map(|f| f.split(": ").next().unwrap()).collect();
        assert_eq!(
            keys,
            [
                "databse",
                "engine.threads",
                "engine.weights.resnet5",
                "intake.rescan",
                "products[0].name",
                "products[0].build.shorter",
                "products[0].build.layers[1]",
                "products[0].build.cofeset",
                "products[1].rebuild.max_wait",
                "products[1].drop"
            ]
        );
    }

    #[test]
    fn a_tag_is_a_problem_with_its_key() {
        let found = problems(
            "database: !secret db\ndefaults: !include defaults.yaml\nproducts:\n- name: a\n  ok: !ENV [OK, /ok]\n  build: {layers: [layer2, !x layer3]}\n  !y bank: /b\n  drop: !!seq [{path: !!str /d}]\n",
        );
        let keys: Vec<&str> = found.iter().map(|f| f.split(": ").next().unwrap()).collect();
        assert_eq!(keys, ["database", "defaults", "products[0].ok", "products[0].build.layers[1]", "products[0].bank"], "{found:?}");
        for (problem, tag) in found.iter().zip(["!secret", "!include", "!ENV", "!x", "!y"]) {
            assert!(problem.contains(&format!("the tag `{tag}` is not known")), "{problem}");
        }
        assert!(problems("!include all.yaml")[0].contains("the tag `!include`"));
    }

    #[test]
    fn every_key_that_takes_a_path_says_so() {
        let foreign = r"'\\nas\line1'";
        let text = format!(
            "database: {foreign}\nengine: {{weights: {{resnet50: {foreign}}}}}\nmetrics: {{socket: {foreign}}}\n\
             mqtt: {{broker: 'mqtts://b', username: u, ca: {foreign}, password_file: {foreign}}}\nproducts:\n- name: a\n  drop: [{{path: {foreign}}}]\n  \
             ok: {foreign}\n  bank: {foreign}\n  reference: {foreign}\n  outputs: {{dir: {foreign}}}\n  on_ng: {{command: [{foreign}]}}\n"
        );
        let problems = Config::parse(&text).unwrap_err().0;
        let mut keys: Vec<&str> =
            problems.iter().filter(|problem| problem.message.contains("mount the share")).map(|p| p.key.as_str()).collect();
        keys.sort_unstable();
        let product = ["bank", "drop[0].path", "ok", "on_ng.command", "outputs.dir", "reference"].map(|key| format!("products[0].{key}"));
        let line = ["database", "engine.weights.resnet50", "metrics.socket", "mqtt.ca", "mqtt.password_file"].map(str::to_owned);
        assert_eq!(keys, [&line[..], &product].concat(), "{problems:?}");
        assert!(!problems.iter().any(|problem| problem.message.contains("mkdir")), "{problems:?}");
    }

    /// The problems, which must come at once.
    fn at_once(text: &str) -> String {
        let begin = Instant::now();
        let found = Config::parse(text).unwrap_err().to_string();
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?} for {found}", begin.elapsed());
        found
    }

    #[test]
    fn what_is_too_large_is_refused_before_the_work() {
        assert!(at_once(&format!("#{}", "x".repeat(9 << 20))).contains("the file: has more than 8 MiB"));
        let aliases = format!("x: &a {{name: p, drop: [{{path: /d}}], ok: /o, bank: /b}}\nproducts: [{}]\n", vec!["*a"; 100_000].join(","));
        assert!(at_once(&aliases).contains("stands for more than 1000000 values"), "{}", at_once(&aliases));
        let mut laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, before) in "bcdefghi".chars().zip("abcdefgh".chars()) {
            laughs += &format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 9].join(","));
        }
        assert!(at_once(&laughs).contains("the file: "), "{}", at_once(&laughs));
        for deep in [
            format!("database: {}{}", "[".repeat(100_000), "]".repeat(100_000)),
            format!("database: {}", "{a: ".repeat(100_000)),
            format!("database: {}", "[ ".repeat(100_000)),
            format!("database: {}", "&a [\n".repeat(100_000)),
            format!("database: {}", "!x [".repeat(100_000)),
        ] {
            assert!(at_once(&deep).contains("brackets in brackets"), "{}", at_once(&deep));
        }
        assert!(at_once(&(0..3000).map(|i| format!("{}a:\n", " ".repeat(i))).collect::<String>()).contains("recursion"));
        let many: String = (0..=size::PRODUCTS).map(|_| "- {}\n").collect();
        assert!(at_once(&format!("database: /h\nproducts:\n{many}")).contains("products: has 10001 entries"));
    }

    #[test]
    fn every_problem_says_where_its_key_stands() {
        let text = "\
database: h.db
engine: {threads: -1}
defaults:
  build: {shorter: 10}
products:
- name: a
  drop: [{path: /drop, recursive: 3}]
  ok: /ok
- name: a
  drop: [{path: /drop}]
  ok: /ok
  bank: /bank
  outputs: {heat: maybe, maks: true}
";
        let found = Config::parse(text).unwrap_err().0;
        let places: Vec<String> = found.iter().map(|problem| format!("{}: {}", problem.position.unwrap(), problem.key)).collect();
        let expected = [
            "line 2, column 10: engine.threads",
            "line 7, column 24: products[0].drop[0].recursive",
            "line 13, column 13: products[1].outputs.heat",
            "line 13, column 26: products[1].outputs.maks",
            "line 1, column 1: database",
            "line 6, column 3: products[0].bank",
            "line 4, column 11: defaults.build.shorter",
            "line 9, column 3: products[1].name",
        ];
        assert_eq!(places, expected);
    }
}
