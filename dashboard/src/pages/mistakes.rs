//! Refusals that are mistakes in a form: they are told at its input, on the page that they were made on.

use axum::{
    extract::OriginalUri,
    http::{Method, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};
use contract::problem::FieldError;

use crate::{
    door::DoorError,
    view::{
        form::{Given, Wrong},
        names,
    },
};

/// The mistake in a form with these inputs that a refusal is about. `codes` are those of refusals that name no place, with the input that
/// they are about. Other refusals (a role, something that has gone on, a part that is away) are no mistakes of the form.
pub(super) fn mistake(error: DoorError, inputs: &[&str], codes: &[(&str, &str)]) -> Result<Wrong, DoorError> {
    let of_code = |code: &str| codes.iter().find(|(known, _)| *known == code).map(|(_, input)| *input);
    match error {
        DoorError::Refused(problem) if matches!(problem.status, 400 | 422) || of_code(&problem.code).is_some() => {
            let input = |error: &FieldError| {
                let place = error.pointer.trim_start_matches("#/").split('/').next().unwrap_or_default();
                inputs.iter().copied().find(|input| *input == place)
            };
            let at = problem.errors.iter().find_map(|error| Some((input(error)?, error)));
            let detail = problem.detail.clone().unwrap_or_else(|| problem.title.clone());
            // The refusal as a whole is a sentence, which may be about no input in particular.
            let words = match at {
                Some((input, error)) if !detail.contains(&error.detail) => at_input(input, &error.detail),
                _ => detail,
            };
            let input = at.map(|(input, _)| input).or_else(|| of_code(&problem.code)).unwrap_or_default();
            Ok(Wrong::at(input, sentence(&words)))
        }
        error => Err(error),
    }
}

/// The words about one input. Some of them want the name of the input as their subject.
fn at_input(input: &str, words: &str) -> String {
    let wants_subject = ["is ", "has ", "looks "].iter().any(|verb| words.starts_with(verb));
    format!("{}{} {words}", names::title(input), if wants_subject { "" } else { ":" })
}

/// Words at the begin of a sentence.
fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The page of a list that a form stands on, as the form says it.
pub(super) fn place(typed: &Given) -> Option<String> {
    typed.get("page").filter(|place| !place.is_empty()).cloned()
}

/// A page whose form cannot be done as it is filled in.
pub(super) fn unprocessable(page: Response) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, page).into_response()
}

/// The address of a form is no page of its own: the answer of one, loaded anew, leads back to the page that the form stands on.
pub(crate) async fn back(method: Method, OriginalUri(address): OriginalUri) -> Response {
    if method != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    Redirect::to(&page_of(address.path())).into_response()
}

/// The page that a form at this path stands on: that of one saga or job, or else a list.
fn page_of(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["ops", page @ ("sagas" | "jobs"), id, ..] => format!("/ops/{page}/{id}"),
        ["ops", "views"] => crate::view::saga_addresses::LIST.to_owned(),
        ["ops", page @ ("domains" | "people" | "approvals" | "dead-letters" | "logins"), ..] => format!("/ops/{page}"),
        _ => "/ops".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use contract::problem::Problem;

    use super::*;

    fn refused(status: u16, code: &str, detail: &str, errors: &[(&str, &str)]) -> DoorError {
        let error = |(pointer, detail): &(&str, &str)| FieldError {
            detail: (*detail).to_owned(),
            pointer: (*pointer).to_owned(),
        };
        DoorError::Refused(Box::new(Problem {
            kind: String::new(),
            title: "No".to_owned(),
            status,
            detail: Some(detail.to_owned()),
            code: code.to_owned(),
            errors: errors.iter().map(error).collect(),
        }))
    }

    #[test]
    fn a_refusal_is_told_at_the_input_that_it_is_about() {
        let inputs = ["email", "reason"];
        let of = |error| mistake(error, &inputs, &[("email_taken", "email")]).unwrap();
        let one = refused(422, "reason_invalid", "the reason has 2 bytes", &[("#/reason", "has 2 bytes")]);
        assert_eq!(of(one), Wrong::at("reason", "The reason has 2 bytes"));
        let two = [("#/name", "is needed"), ("#/email", "this is no address")];
        assert_eq!(
            of(refused(422, "registration_invalid", "not valid", &two)),
            Wrong::at("email", "Email: this is no address")
        );
        let reserved = [("#/email", "is reserved")];
        assert_eq!(of(refused(422, "registration_invalid", "not valid", &reserved)).words, "Email is reserved");
        assert_eq!(of(refused(409, "email_taken", "somebody has it", &[])), Wrong::at("email", "Somebody has it"));
        assert_eq!(
            of(refused(422, "step_unknown", "`order` has no such step", &[])),
            Wrong::at("", "`order` has no such step")
        );
        let conflict = refused(409, "admin_last", "there must be an admin", &[]);
        assert!(mistake(conflict, &inputs, &[]).unwrap_err().has_code("admin_last"));
    }

    #[test]
    fn the_answer_of_a_form_leads_back_to_its_page() {
        for (form, page) in [
            ("/ops/people/usr_1/role", "/ops/people"),
            ("/ops/domains/order@2:pay/end", "/ops/domains"),
            ("/ops/jobs/job_1/pause", "/ops/jobs/job_1"),
            ("/ops/sagas/saga_1/reveal", "/ops/sagas/saga_1"),
            ("/ops/views", "/ops/sagas"),
            ("/ops/session", "/ops"),
        ] {
            assert_eq!(page_of(form), page);
        }
    }
}
