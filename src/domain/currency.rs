//! Currencies of ISO 4217, withdrawn ones included: old orders have them, and Shopify lists some of them to this day.

use iso_currency::Currency as Iso;

/// Decimals of a currency for which ISO 4217 defines no exponent, such as gold.
const NO_MINOR_UNIT: usize = 0;

/// Withdrawn codes (ISO 4217, list three) that the crate does not know, with their decimals.
#[rustfmt::skip]
const WITHDRAWN: &[(&str, usize)] = &[
    ("ADP", 0), ("AFA", 2), ("ANG", 2), ("AOK", 2), ("AON", 2), ("AOR", 2), ("ATS", 2), ("AYM", 2), ("AZM", 2), ("BEF", 2),
    ("BGL", 2), ("BYB", 2), ("BYR", 0), ("CSD", 2), ("CUC", 2), ("CYP", 2), ("DEM", 2), ("ECS", 2), ("EEK", 2), ("ESP", 0),
    ("FIM", 2), ("FRF", 2), ("GHC", 2), ("GRD", 2), ("GWP", 2), ("HRK", 2), ("IEP", 2), ("ITL", 0), ("LTL", 2), ("LUF", 2),
    ("LVL", 2), ("MGF", 0), ("MRO", 2), ("MTL", 2), ("MXV", 2), ("MZM", 2), ("NLG", 2), ("PTE", 2), ("ROL", 2), ("RUR", 2),
    ("SDD", 2), ("SIT", 2), ("SKK", 2), ("SLL", 2), ("SRG", 2), ("STD", 2), ("TMM", 2), ("TPE", 0), ("TRL", 0), ("USS", 2),
    ("VEB", 2), ("VEF", 2), ("XEU", 2), ("XFU", 2), ("YUM", 2), ("ZAL", 2), ("ZMK", 2), ("ZRN", 2), ("ZWD", 2), ("ZWL", 2),
    ("ZWN", 2), ("ZWR", 2),
];

/// A currency of ISO 4217.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency(Code);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Current(Iso),
    Withdrawn { code: &'static str, decimals: usize },
}

impl Currency {
    /// Parses a code of three capital letters, like `USD`.
    pub fn parse(code: &str) -> Option<Self> {
        let withdrawn = || WITHDRAWN.iter().find(|(known, _)| *known == code);
        let code = Iso::from_code(code)
            .map(Code::Current)
            .or_else(|| withdrawn().map(|&(code, decimals)| Code::Withdrawn { code, decimals }))?;
        Some(Self(code))
    }

    pub fn code(self) -> &'static str {
        match self.0 {
            Code::Current(iso) => iso.code(),
            Code::Withdrawn { code, .. } => code,
        }
    }

    /// Digits after the decimal point (the exponent of ISO 4217): 2 for most, 0 for JPY, 3 for KWD.
    pub fn decimals(self) -> usize {
        match self.0 {
            Code::Current(iso) => iso.exponent().map_or(NO_MINOR_UNIT, usize::from),
            Code::Withdrawn { decimals, .. } => decimals,
        }
    }

    /// What programs write beside an amount of this currency: its code and its signs, which other currencies may have too.
    pub fn signs(self) -> [String; 3] {
        let sign = match self.0 {
            Code::Current(iso) => iso.symbol().to_string(),
            Code::Withdrawn { .. } => String::new(),
        };
        [self.code().to_owned(), self.symbol().to_owned(), sign]
    }

    /// The symbol before an amount; empty where it would be ambiguous ("$" is used for twenty currencies): the code is shown then.
    pub(super) fn symbol(self) -> &'static str {
        match self.code() {
            "USD" => "$",
            "EUR" => "€",
            "GBP" => "£",
            "JPY" => "¥",
            "INR" => "₹",
            "KRW" => "₩",
            "CAD" => "CA$",
            "AUD" => "A$",
            "NZD" => "NZ$",
            "BRL" => "R$",
            "MXN" => "MX$",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_rejects_codes_outside_iso_4217() {
        assert!(["", "usd", "EURO", "XYZ", "$", "USDC"].iter().all(|code| Currency::parse(code).is_none()));
    }

    #[test]
    fn parse_accepts_withdrawn_and_new_codes() {
        let codes = [
            ("LTL", 2),
            ("VEF", 2),
            ("BYR", 0),
            ("STD", 2),
            ("HRK", 2),
            ("BGN", 2),
            ("DEM", 2),
            ("XCG", 2),
            ("ZWG", 2),
        ];
        for (code, decimals) in codes {
            let currency = Currency::parse(code).unwrap();
            assert_eq!((currency.code(), currency.decimals()), (code, decimals));
        }
    }

    #[test]
    fn each_known_currency_has_its_own_symbol() {
        let symbols = [
            ("USD", "$"),
            ("EUR", "€"),
            ("GBP", "£"),
            ("JPY", "¥"),
            ("INR", "₹"),
            ("KRW", "₩"),
            ("CAD", "CA$"),
            ("AUD", "A$"),
            ("NZD", "NZ$"),
            ("BRL", "R$"),
            ("MXN", "MX$"),
            ("CHF", ""),
        ];
        for (code, symbol) in symbols {
            assert_eq!(Currency::parse(code).unwrap().symbol(), symbol, "{code}");
        }
    }
}
