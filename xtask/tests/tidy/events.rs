//! Every event names its subscribers: those that it names, and no others, subscribe to it.

use std::collections::BTreeSet;

use crate::{files, nothing_wrong};

/// The beginning of an event's definition, in the contract.
const EVENT: &str = "impl Event for ";

/// The constant in it that names the subscribers.
const SUBSCRIBERS: &str = "const SUBSCRIBERS: &'static [Route] = &[";

/// The call by which a domain subscribes.
const SUBSCRIPTION: &str = ".on::<";

/// A subscriber and its event, as the code names them.
type Pair = (String, String);

#[test]
fn an_event_names_the_domains_that_subscribe_to_it() {
    let (mut named, mut subscribed) = (BTreeSet::new(), BTreeSet::new());
    let mut events = 0;
    for file in files::all().iter().filter(|file| file.is_rust()) {
        if file.path.starts_with("sagas/contract/src/") {
            for definition in file.text.split(EVENT).skip(1) {
                events += 1;
                named.extend(named_by(definition));
            }
        }
        if let Some((domain, _)) = file.path.strip_prefix("workers/").and_then(|path| path.split_once("/src/")) {
            let calls = file.text.split(SUBSCRIPTION).skip(1).filter_map(|call| call.split_once('>'));
            subscribed.extend(calls.map(|(event, _)| (domain.to_owned(), event.to_owned())));
        }
    }
    assert!(events >= 3 && !subscribed.is_empty(), "the scan finds {events} events: does it still fit the sources?");
    let silent = named.difference(&subscribed).map(|(domain, event)| format!("{event} names {domain} for nothing"));
    let unheard = subscribed.difference(&named).map(|(domain, event)| format!("{event} does not name {domain}"));
    nothing_wrong("An event names those who subscribe to it.", silent.chain(unheard).collect());
}

/// The subscribers of an event, whose definition begins with its name.
fn named_by(definition: &str) -> Vec<Pair> {
    let event = definition.split_whitespace().next().unwrap_or_default();
    let list = definition.split_once(SUBSCRIBERS).and_then(|(_, rest)| rest.split_once(']'));
    let routes =
        list.map_or("", |(routes, _)| routes).split(',').filter_map(|route| route.trim().strip_prefix("Route::"));
    routes.map(|route| (route.to_lowercase(), event.to_owned())).collect()
}
