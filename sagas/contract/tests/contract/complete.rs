//! Nothing is on the wire without a golden file, and no golden file is without a message.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    api, commands, events,
    golden::{Golden, folder},
    offers, wire,
};

/// Types that only ever travel inside another one, and the type in whose golden file they are seen.
const INSIDE: &[(&str, &str)] = &[
    ("AcceptedFlight", "HoldSeats"),
    ("AcceptedStay", "HoldRooms"),
    ("Traveller", "PlaceOrder"),
    ("BirthDate", "PlaceOrder"),
    ("OrderItem", "PlaceOrder"),
    ("Reason", "OrderView"),
    ("PaymentToken", "AuthorizePayment"),
    ("Attributes", "SagaSummary"),
    ("NextAction", "PaymentView"),
    ("WebhookData", "PaymentWebhook"),
    ("WebhookObject", "PaymentWebhook"),
    ("WebhookMetadata", "PaymentWebhook"),
    ("Notice", "NotifyUser"),
    ("SagaPause", "SagaView"),
    ("PauseClock", "SagaView"),
    ("PausedHolds", "SagaView"),
    ("Outcome", "ReplyEnvelope"),
    ("FieldError", "Problem"),
    ("StepWork", "SagaView"),
    ("DefinitionView", "Definitions"),
    ("StepShape", "Definitions"),
    ("DefinitionFinding", "Definitions"),
    ("SignalView", "SagaView"),
    ("StartKey", "StartSaga"),
    ("PageToken", "Page"),
    ("StepView", "SagaView"),
    ("Cause", "SagaView"),
    ("Action", "ActionRequest"),
    ("PlannedCommand", "PlanView"),
    ("PlannedWhen", "PlanView"),
    ("LeftEffect", "PlanView"),
    ("PlannedTotal", "Plans"),
    ("Unplanned", "Plans"),
    ("SagaFilter", "JobRequest"),
    ("Canary", "JobRequest"),
    ("AfterCanary", "JobRequest"),
    ("JobRefusals", "JobView"),
    ("JobGroup", "JobPreview"),
    ("AuditFact", "AuditRecord"),
    ("AuditHead", "AuditVerification"),
    ("AuditBreak", "AuditVerification"),
    ("SecondFactor", "Person"),
    ("Wire", "Money"),
    ("OpenStep", "Explanation"),
    ("CommandPlace", "Explanation"),
    ("DomainState", "Explanation"),
    ("FlowState", "Explanation"),
    ("OpenCircuit", "Explanation"),
    ("CircuitCause", "Explanation"),
    ("QueueState", "Explanation"),
    ("LaneState", "Explanation"),
    ("PossibleAct", "Explanation"),
    ("FieldChange", "PlanView"),
    ("FieldShape", "Definitions"),
    ("FieldKind", "Definitions"),
    ("TimelineSpan", "Timeline"),
    ("ApprovalDecision", "Approval"),
    ("Spent", "Timeline"),
    ("SpanEnd", "Timeline"),
    ("SagaGroup", "SagaCounts"),
    ("AgeGroup", "SagaCounts"),
    ("SagaSince", "SagaCounts"),
    ("SagaHold", "SagaCounts"),
    ("OrchestratorView", "Processes"),
    ("LaneView", "Processes"),
    ("SilentShard", "Processes"),
    ("DomainWay", "Processes"),
    ("WorkerView", "Processes"),
    ("ThroughputPoint", "Throughput"),
    ("Durations", "Throughput"),
    ("DeviceDecision", "DecideDeviceLogin"),
];

fn all() -> Vec<Golden> {
    commands::all().into_iter().chain(events::all()).chain(wire::all()).chain(api::all()).chain(offers::all()).collect()
}

#[test]
fn every_golden_file_has_a_message_and_only_one() {
    let mut expected = BTreeSet::new();
    for golden in all() {
        assert!(expected.insert(format!("{}.json", golden.file)), "two messages in {}", golden.file);
    }
    let found = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
}

#[test]
fn every_command_and_its_reply_and_every_event_has_a_golden_file_under_its_name() {
    let files: BTreeSet<_> = all().iter().map(|golden| golden.file).collect();
    let (mut commands, mut events) = (0, 0);
    for (path, text) in sources() {
        let mut is_command = false;
        for line in text.lines() {
            if line.starts_with("impl ") {
                is_command = line.starts_with("impl Command for ");
            }
            let Some(rest) = line.trim().strip_prefix("const NAME: &'static str = \"") else { continue };
            let name = rest.trim_end_matches("\";");
            assert!(files.contains(name), "{}: `{name}` has no golden file", path.display());
            // A command's file has the reply too.
            *(if is_command { &mut commands } else { &mut events }) += 1;
        }
    }
    assert!(
        commands >= 13 && events >= 3,
        "only {commands} commands and {events} events were found: has the source changed its shape?"
    );
}

#[test]
fn every_type_that_is_serialized_is_in_a_golden_file() {
    let goldens = all();
    let covered = |name: &str| goldens.iter().any(|golden| mentions(golden.type_name, name));
    for (path, text) in sources() {
        let mut serialized = false;
        for line in text.lines() {
            if line.starts_with("#[derive(") {
                serialized = line.contains("Serialize");
            }
            let declared =
                ["pub struct ", "pub enum ", "struct ", "enum "].iter().find_map(|word| line.strip_prefix(word));
            let Some(declared) = declared else { continue };
            let name: String = declared.chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
            if std::mem::take(&mut serialized) {
                let outer = INSIDE.iter().find(|(inner, _)| *inner == name).map_or(name.as_str(), |(_, outer)| outer);
                assert!(covered(outer), "{}: `{name}` is in no golden file", path.display());
            }
        }
    }
}

/// True when a type's name, such as `alloc::vec::Vec<contract::money::Money>`, has this one in it.
fn mentions(type_name: &str, name: &str) -> bool {
    type_name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|part| part == name)
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}
