//! What is configured of step-up authentication.

use super::ProviderBuilder;
use crate::config::ConfigError;

impl ProviderBuilder {
    /// The ways in which users authenticate at the login page, as authentication context class references
    /// ([RFC 9470 §7](https://www.rfc-editor.org/rfc/rfc9470#section-7)), published as `acr_values_supported`.
    ///
    /// With them a request's `acr_values` and `max_age` bind
    /// ([RFC 9470 §5](https://www.rfc-editor.org/rfc/rfc9470#section-5)): an approval that does not
    /// [state](crate::Approval::acr) one of the values, or no [time](crate::Approval::auth_time) that is recent enough, is
    /// `unmet_authentication_requirements`, and so is a request that asks for none of these. And the provider's bearer
    /// layers complete the [`StepUp`](crate::StepUp) of a handler. By default there are none, and what a request asks for
    /// is for the page to know.
    pub fn acr_values_supported<T: Into<String>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        self.acr_values = Some(values.into_iter().map(Into::into).collect());
        self
    }

    pub(super) fn check_acr_values(&self, wrong: &mut Vec<ConfigError>) -> Vec<String> {
        let Some(values) = &self.acr_values else { return Vec::new() };
        if values.is_empty() {
            let why = "values: none is named in `.acr_values_supported(..)`: name some, or leave it out";
            wrong.push(ConfigError::Acr(why.to_owned()));
        }
        // What a challenge can carry between quotes, where spaces separate them.
        let is_value = |value: &str| value.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        for value in values.iter().filter(|value| value.is_empty() || !is_value(value)) {
            wrong.push(ConfigError::Acr(format!("{value:?}: one word of printable ASCII without `\"` and `\\`")));
        }
        values.clone()
    }
}
