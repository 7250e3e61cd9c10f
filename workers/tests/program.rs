//! The `worker` program as an operator meets it.

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    fn worker(arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        for variable in ["DATABASE_URL", "AMQP_URL", "SOJOURN_CONFIG"] {
            command.env_remove(variable);
        }
        command.args(arguments).output().unwrap()
    }

    fn said(output: &Output) -> String {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        format!("{out}{err}")
    }

    /// An address without a server.
    const NO_DATABASE: &str = "postgres://nobody@127.0.0.1:1/none";
    const NO_BROKER: &str = "amqp://guest:secret-word@127.0.0.1:1/%2f";

    #[test]
    fn help_and_version_are_answered() {
        let help = worker(&["--help"]);
        assert!(help.status.success());
        for flag in ["--database-url", "--amqp-url", "--listen", "--check-config", "user, order, accommodation"] {
            assert!(said(&help).contains(flag), "{flag} is not in the help");
        }
        let version = worker(&["--version"]);
        assert!(version.status.success() && said(&version).starts_with("worker "));
    }

    #[test]
    fn the_configuration_is_checked_without_any_server() {
        let checked =
            worker(&["order", "payment", "--database-url", NO_DATABASE, "--amqp-url", NO_BROKER, "--check-config"]);
        assert!(checked.status.success(), "{}", said(&checked));
        assert!(said(&checked).contains("configuration ok"));
    }

    #[test]
    fn what_is_wrong_with_the_settings_is_named() {
        for (arguments, named) in [
            (vec!["fligths", "--database-url", NO_DATABASE, "--amqp-url", NO_BROKER], "there is no domain `fligths`"),
            (vec!["order", "--database-url", "no address", "--amqp-url", NO_BROKER, "--check-config"], "postgres://"),
            (vec!["order", "--database-url", NO_DATABASE, "--amqp-url", "http://x", "--check-config"], "amqp"),
            (
                vec!["order", "--database-url", NO_DATABASE, "--amqp-url", NO_BROKER, "--connections-max", "1"],
                "--connections-max",
            ),
            (vec!["order"], "--database-url"),
            (vec![], "DOMAIN"),
        ] {
            let refused = worker(&arguments);
            assert!(!refused.status.success(), "{arguments:?}");
            assert!(said(&refused).contains(named), "{arguments:?} was answered: {}", said(&refused));
        }
    }

    #[test]
    fn production_takes_no_money_that_is_none() {
        let check = |arguments: &[&str]| {
            let production = ["payment", "--environment=production", "--check-config", "--database-url", NO_DATABASE];
            let secret = "--internal-token=0123456789abcdef0123456789abcdef";
            worker(&[&production[..], &["--amqp-url", NO_BROKER, secret], arguments].concat())
        };
        for (arguments, named) in [
            (&[][..], "set SOJOURN_PAYMENT_PROVIDER=stripe"),
            (&["--payment-provider=sandbox"], "production refuses the sandbox"),
            (&["--payment-provider=stripe"], "SOJOURN_STRIPE_SECRET_KEY"),
            (&["--payment-provider=stripe", "--stripe-secret-key="], "SOJOURN_STRIPE_SECRET_KEY"),
            (
                &["--payment-provider=stripe", "--stripe-secret-key=sk_live_1", "--stripe-url=http://127.0.0.1:1"],
                "over https only",
            ),
            (&["--payment-provider=paypal"], "possible values: sandbox, stripe"),
        ] {
            let refused = check(arguments);
            assert!(!refused.status.success(), "{arguments:?}");
            let text = said(&refused);
            assert!(text.contains(named) && !text.contains("sk_live_1"), "{arguments:?} was answered: {text}");
        }
        let taken = check(&["--payment-provider=stripe", "--stripe-secret-key=sk_live_1"]);
        assert!(taken.status.success(), "{}", said(&taken));
    }

    #[test]
    fn a_missing_server_is_named_with_the_way_to_get_it() {
        let broker = worker(&["order", "--database-url", NO_DATABASE, "--amqp-url", NO_BROKER]);
        assert!(!broker.status.success());
        let text = said(&broker);
        assert!(text.contains("RabbitMQ at") && text.contains("cargo xtask run"), "{text}");
        assert!(!text.contains("secret-word"), "a password was printed: {text}");

        let amqp = private_servers::testing::amqp_url();
        let database =
            worker(&["order", "--database-url", NO_DATABASE, "--amqp-url", &amqp, "--listen", "127.0.0.1:0"]);
        assert!(!database.status.success());
        let text = said(&database);
        assert!(text.contains("PostgreSQL at 127.0.0.1:1") && text.contains("cargo xtask run"), "{text}");
    }
}
