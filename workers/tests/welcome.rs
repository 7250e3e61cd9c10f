//! Two domains that know of each other only by an event: a person who registers is welcomed.

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use clap::Parser;
    use contract::Route;
    use messaging::{
        Broker, Namespace,
        rabbitmq::{RabbitBroker, RabbitOptions},
    };
    use tokio_util::sync::CancellationToken;
    use workers::{DomainSettings, domain};

    /// Far longer than anything takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// Between two looks at a level.
    const LOOK_AGAIN: Duration = Duration::from_millis(20);

    const INTERNAL_TOKEN: &str = "token";

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        settings: DomainSettings,
    }

    #[tokio::test]
    async fn a_person_who_registers_finds_one_welcome_in_the_feed() {
        let unique = private_servers::testing::unique("welcome");
        let key_file = std::env::temp_dir().join(format!("{unique}.pem"));
        let flags = Flags::parse_from(["test", "--jwt-signing-key-file", key_file.to_str().unwrap()]);
        let fresh = private_servers::testing::database("welcome").await;
        let clock = kit::clock::system();
        let domains = [Route::User, Route::Feed].map(|route| domain(route, &flags.settings, &fresh, &clock, false));
        let domains = domains.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        let options = RabbitOptions::new(&private_servers::testing::amqp_url(), "test worker").unwrap();
        let broker = Arc::new(RabbitBroker::connect(options.with_namespace(Namespace::new(unique))).await.unwrap());
        let mut settings = worker_runtime::Settings::new(&fresh, INTERNAL_TOKEN.to_owned().into());
        settings.database_prefix = format!("{}_", fresh.rsplit('/').next().unwrap());
        settings.listen = Some("127.0.0.1:0".parse().unwrap());
        let token = CancellationToken::new();
        let broker_of_worker = Arc::clone(&broker) as Arc<dyn Broker>;
        let worker = worker_runtime::start(domains, settings, broker_of_worker, clock, token.clone()).await.unwrap();

        let internal = format!("http://{}/internal", worker.address().unwrap());
        let client = reqwest::Client::new();
        let person = serde_json::json!({
            "email": "ada@example.com", "password": "a password of some length", "name": "Ada Example"
        });
        let registered = client.post(format!("{internal}/user/users")).bearer_auth(INTERNAL_TOKEN).json(&person);
        let registered = registered.send().await.unwrap();
        assert_eq!(registered.status().as_u16(), 201);
        let registered: serde_json::Value = registered.json().await.unwrap();
        let notices = format!("{internal}/feed/notices?user_id={}", registered["user_id"].as_str().unwrap());
        let welcomed = async {
            loop {
                let read = client.get(&notices).bearer_auth(INTERNAL_TOKEN).send().await.unwrap();
                let page: serde_json::Value = read.json().await.unwrap();
                match page["items"].as_array().unwrap().as_slice() {
                    [] => tokio::time::sleep(LOOK_AGAIN).await,
                    notices => return notices.to_vec(),
                }
            }
        };
        let notices = tokio::time::timeout(PATIENCE, welcomed).await.expect("a welcome");
        assert_eq!((notices.len(), notices[0]["kind"].as_str()), (1, Some("welcome")), "{notices:?}");
        token.cancel();
        worker.finished().await;
        broker.close().await;
        std::fs::remove_file(key_file).unwrap();
    }
}
