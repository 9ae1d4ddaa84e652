//! Logs, on stderr.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The variable that chooses what is logged, in `tracing`'s own form:
/// `debug`, or `zfs_replicate=trace,warn`.
pub const VARIABLE: &str = "ZFS_LOG";

/// The options that every binary has.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Verbosity {
    /// Say more; twice for even more
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,

    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,

    /// How logs are written to stderr
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        global = true
    )]
    log_format: LogFormat,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line of text each.
    #[default]
    Text,
    /// An object in a line each.
    Json,
}

impl Verbosity {
    /// The same from options that a binary reads by itself.
    pub fn new(verbose: u8, quiet: bool, log_format: LogFormat) -> Verbosity {
        Verbosity {
            verbose,
            quiet,
            log_format,
        }
    }

    /// Whether only what went wrong is to be said.
    pub fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Whether more is to be said.
    pub fn is_verbose(self) -> bool {
        self.verbose > 0
    }

    fn level(self) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::ERROR,
            (false, 0) => LevelFilter::WARN,
            (false, 1) => LevelFilter::INFO,
            (false, 2) => LevelFilter::DEBUG,
            (false, _) => LevelFilter::TRACE,
        }
    }

    /// Begins to log. Called a second time it does nothing.
    pub fn start(self) {
        let filter = EnvFilter::builder()
            .with_default_directive(self.level().into())
            .with_env_var(VARIABLE)
            .from_env_lossy();
        let logs = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            // Where it is closed it would panic to say so.
            .log_internal_errors(false);
        let _ = match self.log_format {
            LogFormat::Text => logs.with_target(false).try_init(),
            LogFormat::Json => logs.json().try_init(),
        };
    }
}
