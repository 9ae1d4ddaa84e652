//! Channel programs: Lua that runs in the kernel, see zfs-program(8).

use zfs_stream::nvlist::{NvList, NvString, Value};

use crate::error::{Errno, Error, Operation, ProgramProblem};
use crate::ffi::{Answer, CallError, Limits};
use crate::name::PoolName;
use crate::zfs::Zfs;

/// Instructions that zfs-program(8) allows where nothing else is said.
const INSTRUCTIONS: u64 = 10 * 1000 * 1000;

/// Bytes that zfs-program(8) allows where nothing else is said.
const MEMORY_BYTES: u64 = 10 << 20;

/// A channel program: Lua, what it is given, and how much it may do.
///
/// ```no_run
/// use zfs_core::{ChannelProgram, Zfs};
///
/// let zfs = Zfs::open()?;
/// let program = ChannelProgram::new(
///     "local names = {}
///      for child in zfs.list.children((...)['argv'][1]) do table.insert(names, child) end
///      return names",
/// )
/// .arguments_from(["tank/home"])?
/// .read_only();
/// println!("{:?}", zfs.program(&"tank".parse()?, &program)?);
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelProgram {
    text: String,
    arguments: NvList,
    instructions: u64,
    memory_bytes: u64,
    sync: bool,
}

impl ChannelProgram {
    /// A program that may change the pool, with the limits that
    /// zfs-program(8) has: 10 million instructions and 10 MiB.
    pub fn new(text: impl Into<String>) -> ChannelProgram {
        ChannelProgram {
            text: text.into(),
            arguments: NvList::new(),
            instructions: INSTRUCTIONS,
            memory_bytes: MEMORY_BYTES,
            sync: true,
        }
    }

    /// What the program gets as `...`: a table of these names. Lua has
    /// booleans, texts, signed numbers of 64 bits, tables (lists), and
    /// arrays of texts or numbers.
    #[must_use]
    pub fn arguments(mut self, arguments: NvList) -> ChannelProgram {
        self.arguments = arguments;
        self
    }

    /// Arguments as zfs-program(8) gives them: in the array `argv`.
    ///
    /// # Errors
    ///
    /// [`Error::Nvlist`]: one has a zero byte in it.
    pub fn arguments_from<'a>(
        self,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<ChannelProgram, Error> {
        let mut list = NvList::new();
        arguments
            .into_iter()
            .map(NvString::try_from)
            .collect::<zfs_stream::Result<Vec<NvString>>>()
            .and_then(|arguments| list.insert("argv", arguments))
            .map_err(|error| CallError::Request(error).on(Operation::Program, "any"))?;
        Ok(self.arguments(list))
    }

    /// It cannot change anything, need not wait for the pool to write, and
    /// fails where it tries (`zfs program -n`).
    #[must_use]
    pub fn read_only(mut self) -> ChannelProgram {
        self.sync = false;
        self
    }

    /// At most that many Lua instructions; ZFS allows 100 million.
    #[must_use]
    pub fn instruction_limit(mut self, instructions: u64) -> ChannelProgram {
        self.instructions = instructions;
        self
    }

    /// At most that many bytes of memory; ZFS allows 100 MiB.
    #[must_use]
    pub fn memory_limit_bytes(mut self, bytes: u64) -> ChannelProgram {
        self.memory_bytes = bytes;
        self
    }

    /// The first argument, at any depth, that Lua has nothing for.
    fn foreign_argument(list: &NvList) -> Option<(String, &Value)> {
        list.iter().find_map(|(name, value)| match value {
            Value::BooleanValue(_)
            | Value::String(_)
            | Value::Int64(_)
            | Value::StringArray(_)
            | Value::Uint64Array(_)
            | Value::Int64Array(_) => None,
            Value::NvList(inner) => ChannelProgram::foreign_argument(inner)
                .map(|(below, value)| (format!("{name}.{below}"), value)),
            _ => Some((name.to_string(), value)),
        })
    }
}

impl Zfs {
    /// Runs a channel program on a pool, and answers what it returned: none
    /// where it returned nothing. A Lua table is a list whose names are its
    /// keys as text, `nil` is [`Value::Boolean`], and numbers are
    /// [`Value::Int64`].
    ///
    /// Nothing else happens on the pool while a program runs that is not
    /// [read-only](ChannelProgram::read_only).
    ///
    /// # Errors
    ///
    /// [`Error::Program`] says what went wrong in the program, with Lua's
    /// text; what it had changed by then stays changed.
    /// [`Error::InvalidRequest`] is about an argument that Lua has nothing
    /// for, [`Error::Zfs`] about the pool or the limits.
    /// [`Error::is_permission`] for others than root.
    pub fn program(
        &self,
        pool: &PoolName,
        program: &ChannelProgram,
    ) -> Result<Option<Value>, Error> {
        let name = pool.as_str();
        if let Some((argument, value)) = ChannelProgram::foreign_argument(&program.arguments) {
            return Err(Error::invalid(
                Operation::Program,
                name,
                format!(
                    "its argument {argument} is a {}, which Lua has nothing for",
                    value.data_type()
                ),
            ));
        }
        // The library takes memory for as much as the program may, and fails
        // there where the kernel would have said what is wrong.
        for (limit, unit, parameter, usual) in [
            (
                program.instructions,
                "instructions",
                "zfs_lua_max_instrlimit",
                100_000_000,
            ),
            (
                program.memory_bytes,
                "bytes of memory",
                "zfs_lua_max_memlimit",
                100 << 20,
            ),
        ] {
            let max = parameter_of_module(parameter).unwrap_or(usual);
            if limit == 0 || limit > max {
                return Err(Error::invalid(
                    Operation::Program,
                    name,
                    format!("a limit of {limit} {unit} is not one of 1 to {max} ({parameter})"),
                ));
            }
        }
        let limits = Limits {
            instructions: program.instructions,
            memory_bytes: program.memory_bytes,
        };
        let answer = self
            .lzc()?
            .channel_program(
                name,
                &program.text,
                program.sync,
                limits,
                &program.arguments,
            )
            .map_err(|error| error.on(Operation::Program, name))?;
        outcome(name, program, answer)
    }
}

/// A parameter of the kernel module that is a number.
fn parameter_of_module(name: &str) -> Option<u64> {
    let path = format!("/sys/module/zfs/parameters/{name}");
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn outcome(name: &str, program: &ChannelProgram, answer: Answer) -> Result<Option<Value>, Error> {
    let Some(errno) = answer.errno else {
        let mut list = answer.list;
        return Ok(list.remove("return"));
    };
    let details = answer.list.get("error").map(text);
    let problem = match (errno, details) {
        (Errno::EINVAL, Some(details)) => ProgramProblem::Syntax(details),
        (Errno::ECHRNG, details) => ProgramProblem::Runtime(
            details.unwrap_or_else(|| "it raised an error without a text".into()),
        ),
        (Errno::ETIME, details) => ProgramProblem::InstructionLimit {
            limit: program.instructions,
            details,
        },
        (Errno::ENOSPC, _) => ProgramProblem::MemoryLimit {
            limit: program.memory_bytes,
        },
        (Errno::ENOMEM, _) => ProgramProblem::ResultTooLarge,
        (Errno::EINTR, details) => ProgramProblem::Interrupted(details),
        (errno, _) => return Err(Error::zfs(Operation::Program, name, errno)),
    };
    Err(Error::Program {
        pool: name.to_owned(),
        problem,
    })
}

/// Lua raises values of any kind as errors; most are texts.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        Value::Int64(number) => number.to_string(),
        Value::BooleanValue(value) => value.to_string(),
        Value::NvList(list) => list.to_string().trim_end().to_owned(),
        _ => "nil".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn failed(errno: Errno, details: Option<&str>) -> Error {
        let mut list = NvList::new();
        if let Some(details) = details {
            list.insert_str("error", details).unwrap();
        }
        let answer = Answer {
            errno: Some(errno),
            list,
        };
        let program = ChannelProgram::new("return 1").instruction_limit(7);
        outcome("tank", &program, answer).unwrap_err()
    }

    #[test]
    fn one_number_is_a_syntax_error_with_a_text_and_a_wrong_limit_without() {
        let error = failed(
            Errno::EINVAL,
            Some("[string \"channel program\"]:1: syntax error"),
        );
        assert!(error.to_string().contains("syntax error"), "{error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let error = failed(Errno::EINVAL, None);
        assert!(error.to_string().contains("limit"), "{error}");
    }

    #[test]
    fn limits_are_named_with_their_numbers() {
        let error = failed(Errno::ETIME, Some("timed out"));
        let text = error.to_string();
        assert!(
            text.contains("limit of 7 instructions: timed out"),
            "{text}"
        );
        let text = failed(Errno::ENOSPC, None).to_string();
        assert!(text.contains("10485760 bytes of memory"), "{text}");
    }

    #[test]
    fn an_argument_that_lua_has_nothing_for_is_found_at_any_depth() {
        let mut inner = NvList::new();
        inner.insert("small", 1_u8).unwrap();
        let mut list = NvList::new();
        list.insert("number", 1_i64).unwrap();
        assert_eq!(ChannelProgram::foreign_argument(&list), None);
        list.insert("table", inner).unwrap();
        let (name, value) = ChannelProgram::foreign_argument(&list).unwrap();
        assert_eq!(
            (name.as_str(), value.data_type().name()),
            ("table.small", "uint8")
        );
    }

    #[test]
    fn what_a_program_returns_is_one_value_or_none() {
        let mut list = NvList::new();
        list.insert("return", 5_i64).unwrap();
        let program = ChannelProgram::new("return 5");
        let answer = |list| Answer { errno: None, list };
        let returned = outcome("tank", &program, answer(list)).unwrap();
        assert_eq!(returned, Some(Value::Int64(5)));
        assert_eq!(
            outcome("tank", &program, answer(NvList::new())).unwrap(),
            None
        );
    }
}
