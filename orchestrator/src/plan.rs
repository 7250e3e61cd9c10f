//! The plan of an operator's action on a saga as the journal holds it, whichever orchestrator is asked.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contract::{
    command::Refusal,
    orchestrator_api::{PlanView, PlannedTotal, PlannedWhen},
    saga::Action,
    step::{Op, StepName},
};
use journal::Stored;
use machine::{Catalog, Input, Operator, Terms, Verdict};

use crate::{
    saga_instance::{Parked, SagaInstance},
    view,
};

/// Plans an action, with the same exception as a lane: a saga whose definition is unknown here can be abandoned.
pub(crate) fn plan(
    catalog: &Catalog,
    stored: &Stored,
    action: &Action,
    now: DateTime<Utc>,
) -> Result<PlanView, Parked> {
    let instance = SagaInstance::restore(catalog, stored).or_else(|parked| {
        let abandons = matches!(action, Action::Abandon {});
        let input = Input::Operator { operator: Operator::default(), action: action.clone(), terms: Terms::default() };
        let other = abandons.then(|| SagaInstance::to_be_abandoned(catalog, stored, &input, now));
        other.flatten().ok_or(parked)
    })?;
    let SagaInstance { state, head, definition, .. } = instance;
    let to = match action {
        Action::Migrate { version } => catalog.get(definition.name(), *version),
        _ => None,
    };
    let planned = machine::catch_panic(|| {
        let holds_until = machine::holds_until(&definition, &state);
        let plan = match to {
            Some(to) => machine::plan_migration(&definition, to, state, now),
            None => machine::plan(&definition, state, action, now),
        };
        (holds_until, plan)
    });
    let (holds_until, plan) = planned.map_err(Parked::MachineFailed)?;
    let machine::Plan { verdict, changes, commands, end, left } = plan;
    let refused = match verdict {
        Verdict::Accepted => None,
        Verdict::Refused { code, message } => Some(Refusal { code: code.to_owned(), message }),
        Verdict::Ignored(_) | Verdict::Unknown(_) => None,
    };
    let summary = view::summary(&stored.row, holds_until);
    Ok(PlanView { summary, head, refused, approval: None, changes, commands, end, left })
}

/// Counts the commands of several plans, by definition and step.
pub(crate) fn totals(plans: &[PlanView]) -> Vec<PlannedTotal> {
    let mut totals: BTreeMap<(&str, u32, &StepName, Op), PlannedTotal> = BTreeMap::new();
    for plan in plans {
        let (name, version) = (plan.summary.name.as_str(), plan.summary.version);
        for command in &plan.commands {
            let total = totals.entry((name, version, &command.step, command.op)).or_insert_with(|| PlannedTotal {
                name: name.to_owned(),
                version,
                step: command.step.clone(),
                op: command.op,
                command: command.command.clone(),
                now: 0,
                later: 0,
            });
            match command.when {
                PlannedWhen::Now => total.now += 1,
                PlannedWhen::UnderWay | PlannedWhen::AtRetry | PlannedWhen::AfterReplies | PlannedWhen::IfNeeded => {
                    total.later += 1;
                }
            }
        }
    }
    totals.into_values().collect()
}
