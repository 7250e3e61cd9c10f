//! The gateway as a program: where its settings come from.

use std::process::Command;

/// Runs `gateway --check-config` with a settings file, in an environment of its own; the exit code and both outputs.
fn checked(file: &str, environment: &[(&str, &str)], arguments: &[&str]) -> (i32, String) {
    let path = std::env::temp_dir().join(format!("sojourn-gateway-{}.toml", kit::ids::uuid_random()));
    std::fs::write(&path, file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.env_clear().envs(environment.iter().copied()).arg("--check-config").arg("--config").arg(&path);
    let output = command.args(arguments).output().unwrap();
    std::fs::remove_file(path).unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn a_flag_wins_over_the_environment_and_the_environment_over_the_file() {
    let file = "order-url = \"file:///x\"";
    let environment = [("SOJOURN_ORDER_URL", "ftp://environment.example")];
    let (code, said) = checked(file, &[], &[]);
    assert_eq!((code, said.contains("--order-url: `file:///x`")), (1, true), "{said}");
    let (code, said) = checked(file, &environment, &[]);
    assert_eq!((code, said.contains("--order-url: `ftp://environment.example/`")), (1, true), "{said}");
    let (code, said) = checked(file, &environment, &["--order-url", "http://flag.example"]);
    assert_eq!((code, said.as_str()), (0, "configuration ok\n"));
}

#[test]
fn production_refuses_a_short_secret_and_never_shows_one() {
    let short = checked("environment = \"production\"", &[("SOJOURN_INTERNAL_TOKEN", "hunter2")], &[]);
    assert_eq!((short.0, short.1.contains("SOJOURN_INTERNAL_TOKEN")), (1, true), "{}", short.1);
    assert!(!short.1.contains("hunter2"), "{}", short.1);
    let long = "0123456789abcdef0123456789abcdef";
    let help = checked("", &[("SOJOURN_INTERNAL_TOKEN", long)], &["--help"]);
    assert!(help.1.contains("--internal-token") && !help.1.contains(long), "{}", help.1);
    let forgeable = checked("environment = \"production\"", &[("SOJOURN_INTERNAL_TOKEN", long)], &[]);
    assert_eq!((forgeable.0, forgeable.1.contains("SOJOURN_PAYMENT_WEBHOOK_SECRETS")), (1, true), "{}", forgeable.1);
    let secrets = [("SOJOURN_INTERNAL_TOKEN", long), ("SOJOURN_PAYMENT_WEBHOOK_SECRETS", long)];
    let good = checked("environment = \"production\"", &secrets, &[]);
    assert_eq!((good.0, good.1.as_str()), (0, "configuration ok\n"));
}
