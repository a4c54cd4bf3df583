//! The order of a list: its key and direction.

/// The order of a list. The id is always the second key, so that no two orders are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Newest,
    Oldest,
    /// By total in minor units, whatever the currency.
    Highest,
    Lowest,
}

/// The column that a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SortKey {
    PlacedAt,
    Total,
}

impl Sort {
    pub const ALL: [Self; 4] = [Self::Newest, Self::Oldest, Self::Highest, Self::Lowest];

    /// Code and label.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Newest => ("newest", "Newest first"),
            Self::Oldest => ("oldest", "Oldest first"),
            Self::Highest => ("highest", "Highest total first"),
            Self::Lowest => ("lowest", "Lowest total first"),
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == code)
    }

    /// The code in URLs.
    pub fn as_str(self) -> &'static str {
        self.words().0
    }

    pub fn label(self) -> &'static str {
        self.words().1
    }

    pub(super) fn is_descending(self) -> bool {
        matches!(self, Self::Newest | Self::Highest)
    }

    pub(super) fn key(self) -> SortKey {
        match self {
            Self::Newest | Self::Oldest => SortKey::PlacedAt,
            Self::Highest | Self::Lowest => SortKey::Total,
        }
    }
}

impl SortKey {
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::PlacedAt => "placed_at",
            Self::Total => "total",
        }
    }
}
