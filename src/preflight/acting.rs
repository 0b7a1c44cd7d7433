//! What would hinder `on_ng` and `mqtt` on this machine: programs and files that are missing or not as they must be.

use super::machine::{CheckFinding, FindingLevel};
use crate::config::Config;
use crate::outbox::broker_file_problems;
use crate::platform::files::shell_word;
use rustix::fs::{Access, access};
use std::path::Path;

/// Every finding; files are tried with the permissions of the calling user.
pub fn problems(config: &Config) -> Vec<CheckFinding> {
    let error = |key: String, message: String| CheckFinding { level: FindingLevel::Error, key, message };
    let programs = config.products.iter().enumerate().filter_map(|(i, product)| {
        let program = product.on_ng.as_ref()?.command.first()?;
        let message = program_problem(Path::new(program))?;
        Some(error(format!("products[{i}].on_ng.command"), message))
    });
    let files = config.mqtt.iter().flat_map(broker_file_problems).map(|(key, message)| error(key.to_owned(), message));
    programs.chain(files).collect()
}

fn program_problem(program: &Path) -> Option<String> {
    let shown = program.display();
    match std::fs::metadata(program) {
        Err(e) => Some(format!("cannot find {shown}: {e}; install the program there, or correct the path")),
        Ok(meta) if !meta.is_file() => Some(format!("{shown} is no file; name the program")),
        Ok(_) => access(program, Access::EXEC_OK).err().map(|e| {
            format!("cannot run {shown}: {e}; let the service's user run it, with `chmod +x {}` if it is yours", shell_word(program))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn programs_and_files_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let file = |name: &str, text: &str, mode: u32| {
            std::fs::write(path(name), text).unwrap();
            std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        file("run", "#!/bin/sh\n", 0o755);
        file("plain", "#!/bin/sh\n", 0o644);
        file("password", "secret\n", 0o644);
        file("ca.pem", "no certificate\n", 0o644);
        let mut text = format!(
            "database: /h.db\nmqtt: {{broker: 'mqtts://b', username: u, password_file: {}, ca: {}}}\nproducts:\n",
            path("password"),
            path("ca.pem")
        );
        for (name, program) in [("a", "run"), ("b", "plain"), ("c", "missing"), ("d", "")] {
            text += &format!(
                "- {{name: {name}, drop: [{{path: /{name}}}], ok: /{name}_ok, bank: /{name}_bank, on_ng: {{command: ['{}']}}}}\n",
                path(program)
            );
        }
        let found = problems(&Config::parse(&text).unwrap());
        let found: Vec<(&str, &str)> = found.iter().map(|f| (f.key.as_str(), f.message.as_str())).collect();
        let expected = [
            ("products[1].on_ng.command", "chmod +x"),
            ("products[2].on_ng.command", "cannot find"),
            ("products[3].on_ng.command", "is no file"),
            ("mqtt.password_file", "chmod o="),
            ("mqtt.ca", "has no certificate"),
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((key, message), (expected_key, part)) in found.iter().zip(expected) {
            assert!(*key == expected_key && message.contains(part) && !message.contains("secret"), "{key}: {message}");
        }
        file("password", "secret\n", 0o640);
        assert!(!problems(&Config::parse(&text).unwrap()).iter().any(|f| f.key == "mqtt.password_file"));
    }
}
