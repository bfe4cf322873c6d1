//! Flags of `d402 node` for the gateway's HTTP boundary; they override `[gateway.limits]` and `[gateway.cors]`.

use clap::Args;

use crate::config::GatewaySection;

/// Each may come from the environment as well.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Gateway")]
pub(super) struct GatewayFlags {
    /// Requests per second of one address; 0 is no limit.
    #[arg(long, value_name = "N", env = "D402_GATEWAY_RATE_PER_ADDRESS")]
    rate_per_address: Option<u32>,
    /// Requests per second of everybody together; 0 is no limit.
    #[arg(long, value_name = "N", env = "D402_GATEWAY_RATE")]
    rate: Option<u32>,
    /// Requests in progress, waiting ones included.
    #[arg(long, value_name = "N", env = "D402_GATEWAY_IN_PROGRESS")]
    in_progress: Option<u32>,
    /// Longest time a request may take, seconds.
    #[arg(long, value_name = "S", env = "D402_GATEWAY_TIMEOUT")]
    timeout: Option<u64>,
    /// How long a synchronous request waits for its result, seconds.
    #[arg(long, value_name = "S", env = "D402_GATEWAY_SYNC_WAIT")]
    sync_wait: Option<u64>,
    /// How long a paid request waits for its deposit, seconds.
    #[arg(long, value_name = "S", env = "D402_GATEWAY_DEPOSIT_WAIT")]
    deposit_wait: Option<u64>,
    /// Largest request body, bytes.
    #[arg(long, value_name = "BYTES", env = "D402_GATEWAY_BODY_BYTES")]
    body_bytes: Option<usize>,
    /// Origin of web pages that may call, or `*`; may be repeated.
    #[arg(
        long,
        value_name = "ORIGIN",
        value_delimiter = ',',
        env = "D402_GATEWAY_CORS_ORIGIN"
    )]
    cors_origin: Vec<String>,
}

impl GatewayFlags {
    /// Puts what was given over what the file says.
    pub(super) fn override_section(self, section: &mut GatewaySection) {
        fn set<T>(to: &mut T, given: Option<T>) {
            if let Some(given) = given {
                *to = given;
            }
        }
        let limits = &mut section.limits;
        set(&mut limits.per_address_per_second, self.rate_per_address);
        set(&mut limits.per_second, self.rate);
        set(&mut limits.in_progress, self.in_progress);
        set(&mut limits.timeout_s, self.timeout);
        set(&mut limits.sync_wait_s, self.sync_wait);
        set(&mut limits.deposit_wait_s, self.deposit_wait);
        set(&mut limits.body_bytes, self.body_bytes);
        if !self.cors_origin.is_empty() {
            section.cors.allowed_origins = self.cors_origin;
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    reason = "a broken expectation here is a failed test"
)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::NodeConfig;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: GatewayFlags,
    }

    const FILE: &str = r#"
        state-dir = "x"
        [gateway.limits]
        per-second = 7
        timeout-s = 30
        [gateway.cors]
        allowed-origins = ["https://shop.example"]
    "#;

    #[test]
    fn a_flag_overrides_the_file_and_the_file_the_default() {
        let mut config: NodeConfig = toml::from_str(FILE).unwrap();
        let line = Line::try_parse_from(["node", "--timeout", "35", "--body-bytes", "2048"]);
        line.unwrap().flags.override_section(&mut config.gateway);
        let limits = &config.gateway.limits;
        assert_eq!(
            (limits.per_second, limits.timeout_s, limits.body_bytes),
            (7, 35, 2_048)
        );
        assert_eq!(limits.per_address_per_second, 500);
        assert_eq!(
            config.gateway.cors.allowed_origins,
            ["https://shop.example"]
        );
        assert_eq!(limits.check(), Ok(()));
    }

    #[test]
    fn origins_of_flags_replace_those_of_the_file() {
        let mut config: NodeConfig = toml::from_str(FILE).unwrap();
        let line = Line::try_parse_from([
            "node",
            "--cors-origin",
            "https://a.example,https://b.example",
        ]);
        line.unwrap().flags.override_section(&mut config.gateway);
        assert_eq!(
            config.gateway.cors.allowed_origins,
            ["https://a.example", "https://b.example"]
        );
    }
}
