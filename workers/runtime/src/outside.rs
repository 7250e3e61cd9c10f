//! The middle part of an outside command: the call itself, with its time limit and its honesty about what is unclear.

use std::{panic::AssertUnwindSafe, time::Instant};

use futures::FutureExt;

use crate::{
    engine::Engine,
    erased::AnyAnswer,
    failure::pauses,
    handler_error::HandlerError,
    limits, observe,
    received::ReceivedCommand,
    transaction::{OutsideCall, Reply},
};

/// How a call ended.
pub(crate) enum Called {
    /// The outside said something definite.
    Answer(AnyAnswer),
    /// It surely had no effect.
    Fault(Reply),
    /// It is unknown, however often it was asked: no answer is given, so the orchestrator takes the step as in doubt and
    /// sends it again. A fault would be a lie, because a fault promises that nothing happened.
    Unclear(String),
    /// The worker stops: the command goes back to the queue, and is resumed from there.
    Stopped,
}

/// Calls, and while the answer is unclear calls again with `resumed`, a bounded number of times.
pub(crate) async fn call(engine: &Engine, received: &ReceivedCommand, call: &OutsideCall) -> Called {
    let mut resumed = call.resumed;
    for (calls, pause) in (1..).zip(pauses()) {
        let started = Instant::now();
        let called = tokio::select! {
            () = engine.stop.cancelled() => return Called::Stopped,
            called = once(call, resumed) => called,
        };
        let (result, end) = match called {
            Ok(answer) => ("answered", Ok(Called::Answer(answer))),
            Err(HandlerError::Fault { code, message }) => ("fault", Ok(Called::Fault(Reply::fault(code, message)))),
            Err(HandlerError::Refused(refusal)) => {
                let text = format!("a call answers; only its record may refuse ({})", refusal.code);
                ("fault", Ok(Called::Fault(Reply::fault(contract::command::FAULT_DEPENDENCY_FAILED, text))))
            }
            // Its own database failing in the middle of a call says nothing about the outside.
            Err(HandlerError::Unclear { message }) => ("unclear", Err(message)),
            Err(HandlerError::Database(error)) => ("unclear", Err(error.to_string())),
        };
        observe::called(engine.domain, received.registered.name, result, started.elapsed());
        let unclear = match end {
            Ok(called) => return called,
            Err(unclear) => unclear,
        };
        if calls >= limits::UNCLEAR_CALLS_MAX {
            return Called::Unclear(unclear);
        }
        resumed = true;
        tokio::select! {
            () = engine.stop.cancelled() => return Called::Stopped,
            () = tokio::time::sleep(pause) => {}
        }
    }
    Called::Stopped
}

async fn once(call: &OutsideCall, resumed: bool) -> Result<AnyAnswer, HandlerError> {
    let called = AssertUnwindSafe(call.handler.call(&call.prepared, resumed)).catch_unwind();
    match tokio::time::timeout(limits::OUTSIDE_CALL_MAX, called).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(HandlerError::unclear("the handler panicked; the worker's log has the place")),
        Err(_) => Err(HandlerError::unclear(format!("no answer within {:?}", limits::OUTSIDE_CALL_MAX))),
    }
}
