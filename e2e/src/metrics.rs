//! The metrics of the programs, where an alarm is read.

use crate::system::System;

impl System {
    /// The values, in whole numbers, of a program's metric in the series that carry all these labels, such as `route="payment"`; none when
    /// it was never set.
    ///
    /// # Errors
    /// When the program does not answer.
    pub async fn metric(&self, program: &str, name: &str, labels: &[&str]) -> Result<Vec<u64>, String> {
        let address = format!("{}/metrics", self.address(program));
        let answer = reqwest::get(address).await.map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        let value = |line: &str| {
            let (series, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
            let labelled = series.is_empty() || series.starts_with('{');
            if labelled && labels.iter().all(|label| series.contains(label)) { value.parse().ok() } else { None }
        };
        Ok(text.lines().filter_map(value).collect())
    }

    /// As [`System::metric`], over both orchestrators.
    ///
    /// # Errors
    /// As [`System::metric`].
    pub async fn metric_of_orchestrators(&self, name: &str, labels: &[&str]) -> Result<Vec<u64>, String> {
        let mut values = self.metric("orchestrator-1", name, labels).await?;
        values.extend(self.metric("orchestrator-2", name, labels).await?);
        Ok(values)
    }
}
