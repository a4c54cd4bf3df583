//! The order of a list: its key and direction.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// The order of a list. The id is always the second key, so that no two orders are equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
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
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The code in URLs.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Newest => "Newest first",
            Self::Oldest => "Oldest first",
            Self::Highest => "Highest total first",
            Self::Lowest => "Lowest total first",
        }
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
