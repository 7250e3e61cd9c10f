//! The columns of the list of sagas: which there are, and which the address asks for.

/// A column that can be chosen; status and flow are always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Key,
    Error,
    Client,
    Attributes,
    Started,
    Changed,
    Ended,
    Holds,
}

impl Column {
    pub(crate) const ALL: [Self; 8] = [
        Self::Key,
        Self::Error,
        Self::Client,
        Self::Attributes,
        Self::Started,
        Self::Changed,
        Self::Ended,
        Self::Holds,
    ];

    /// Those of a list that asks for none.
    const USUAL: [Self; 5] = [Self::Key, Self::Error, Self::Started, Self::Changed, Self::Holds];

    /// The word in the address.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Error => "error",
            Self::Client => "client",
            Self::Attributes => "attributes",
            Self::Started => "started",
            Self::Changed => "changed",
            Self::Ended => "ended",
            Self::Holds => "holds",
        }
    }

    /// The word above the column.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Key => "Business key",
            Self::Error => "Error",
            Self::Client => "Client",
            Self::Attributes => "Attributes",
            Self::Started => "Started",
            Self::Changed => "Changed",
            Self::Ended => "Ended",
            Self::Holds => "Holds until",
        }
    }
}

/// The columns of one list, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns(Vec<Column>);

impl Columns {
    /// The columns that words of an address name; the usual ones when they name none.
    pub(crate) fn read<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let words: Vec<&str> = words.flat_map(|words| words.split(',')).collect();
        let chosen: Vec<_> = Column::ALL.into_iter().filter(|column| words.contains(&column.as_str())).collect();
        Self(if chosen.is_empty() { Column::USUAL.into() } else { chosen })
    }

    /// The words for an address; none for the usual ones.
    pub(crate) fn words(&self) -> Option<String> {
        let words = || self.0.iter().map(|column| column.as_str()).collect::<Vec<_>>().join(",");
        (self.0 != Column::USUAL).then(words)
    }

    pub(crate) fn has(&self, column: &Column) -> bool {
        self.0.contains(column)
    }

    pub(crate) fn all(&self) -> &[Column] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_in_their_own_order_and_the_usual_ones_need_no_words() {
        let chosen = Columns::read(["holds,nonsense", "client"].into_iter());
        assert_eq!(chosen.words().as_deref(), Some("client,holds"));
        assert_eq!(Columns::read(["nonsense"].into_iter()).words(), None);
        assert_eq!(Columns::read("key,error,started,changed,holds".split(' ')).words(), None);
    }
}
