//! Saved views of the list: a name and an address each, kept in a cookie of the browser that saved them.

/// The most views: a row of names that one look takes in.
const VIEWS_MAX: usize = 12;

/// The longest name of a view, in characters: a few words.
const NAME_CHARS_MAX: usize = 40;

/// The largest cookie, in bytes: browsers keep 4,096 with its name and attributes.
const COOKIE_BYTES_MAX: usize = 3_500;

/// A named address of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) name: String,
    /// The part of the address behind the question mark.
    pub(crate) query: String,
}

/// The views that a cookie holds.
pub(crate) fn read(cookie: Option<&str>) -> Vec<View> {
    let pairs = form_urlencoded::parse(cookie.unwrap_or_default().as_bytes());
    let views = pairs.map(|(name, query)| View { name: name.into_owned(), query: query.into_owned() });
    views.filter(|view| !view.name.is_empty()).take(VIEWS_MAX).collect()
}

/// The cookie for these views.
pub(crate) fn write(views: &[View]) -> String {
    let pairs = views.iter().map(|view| (&view.name, &view.query));
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The views with one more, in place of the one of its name.
///
/// # Errors
/// When there is no room, or no name.
pub(crate) fn with(mut views: Vec<View>, view: View) -> Result<Vec<View>, String> {
    let view = View { name: view.name.trim().to_owned(), ..view };
    if view.name.is_empty() || view.name.chars().count() > NAME_CHARS_MAX {
        return Err(format!("A view has a name of 1 to {NAME_CHARS_MAX} characters."));
    }
    match views.iter_mut().find(|known| known.name == view.name) {
        Some(known) => *known = view,
        None => views.push(view),
    }
    if views.len() > VIEWS_MAX || write(&views).len() > COOKIE_BYTES_MAX {
        return Err(format!("There is no room for one more view; {VIEWS_MAX} are kept. Forget one first."));
    }
    Ok(views)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(name: &str, query: &str) -> View {
        View { name: name.to_owned(), query: query.to_owned() }
    }

    #[test]
    fn views_come_back_from_their_cookie_as_they_were_saved() {
        let views = vec![view("Stuck; today", "q=status%3Arunning+age%3E1h&columns=key"), view("é", "")];
        let cookie = write(&views);
        assert!(cookie.bytes().all(|byte| byte.is_ascii_graphic() && !b";,\"\\".contains(&byte)), "{cookie}");
        assert_eq!(read(Some(&cookie)), views);
        assert_eq!(read(None), []);
    }

    #[test]
    fn a_view_of_the_same_name_is_replaced_and_past_the_limit_there_is_no_room() {
        let views = with(vec![view("a", "q=1")], view(" a ", "q=2")).unwrap();
        assert_eq!(views, [view("a", "q=2")]);
        assert!(with(Vec::new(), view(" ", "q=1")).is_err());
        let many: Vec<_> = (0..VIEWS_MAX).map(|number| view(&number.to_string(), "q=1")).collect();
        assert!(with(many, view("one more", "q=1")).is_err());
        assert!(with(Vec::new(), view("long", &"x".repeat(COOKIE_BYTES_MAX))).is_err());
    }
}
