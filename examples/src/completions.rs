//! What a shell completes, as the shell reads it.

use clap::CommandFactory;
pub use clap_complete::Shell;

/// Prints it for a binary.
pub fn show<Args: CommandFactory>(shell: Shell) {
    let mut command = Args::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    print!("{}", String::from_utf8_lossy(&script));
}
