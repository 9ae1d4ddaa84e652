//! Channel programs on real pools.

mod fixture;

use fixture::{Pool, zfs};
use zfs_core::{ChannelProgram, Error, ErrorKind, ProgramProblem};
use zfs_stream::nvlist::{NvList, Value};

fn run(pool: &Pool, program: &ChannelProgram) -> Result<Option<Value>, Error> {
    pool.zfs.program(pool.name(), program)
}

fn problem(pool: &Pool, program: &ChannelProgram) -> ProgramProblem {
    match run(pool, program).unwrap_err() {
        Error::Program {
            pool: name,
            problem,
        } => {
            assert_eq!(name, pool.name().as_str());
            problem
        }
        other => panic!("{other}"),
    }
}

/// Takes far more snapshots than its limits allow.
fn snapshots_for_ever(pool: &Pool) -> ChannelProgram {
    ChannelProgram::new(format!(
        "for i = 1,10000 do zfs.sync.snapshot('{}@zcp' .. i) end",
        pool.name()
    ))
}

#[test]
fn a_missing_pool_runs_no_program() {
    let program = ChannelProgram::new("return {}");
    let error = zfs()
        .program(&"nonexistent".parse().unwrap(), &program)
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn a_program_ends_at_its_limit_of_instructions() {
    let pool = Pool::new();
    let program = snapshots_for_ever(&pool).instruction_limit(1);
    let problem = problem(&pool, &program);
    assert!(
        matches!(problem, ProgramProblem::InstructionLimit { limit: 1, .. }),
        "{problem:?}"
    );
    let program = ChannelProgram::new("while true do end").read_only();
    let error = run(&pool, &program.instruction_limit(10_000)).unwrap_err();
    assert!(error.to_string().contains("10000 instructions"), "{error}");
}

#[test]
fn a_program_ends_at_its_limit_of_memory() {
    let pool = Pool::new();
    let program = snapshots_for_ever(&pool).memory_limit_bytes(1);
    let problem = problem(&pool, &program);
    assert_eq!(problem, ProgramProblem::MemoryLimit { limit: 1 });
}

#[test]
fn limits_that_cannot_be_are_refused() {
    let pool = Pool::new();
    let program = ChannelProgram::new("return {}");
    for odd in [
        program.clone().instruction_limit(0),
        program.clone().memory_limit_bytes(0),
        program.clone().instruction_limit(u64::MAX),
        program.clone().memory_limit_bytes(u64::MAX),
    ] {
        let error = run(&pool, &odd).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("limit"), "{error}");
    }
}

#[test]
fn a_syntax_error_is_told_in_lua_s_words() {
    let pool = Pool::new();
    let problem = problem(&pool, &ChannelProgram::new("\ninv+val:id\n"));
    let ProgramProblem::Syntax(text) = &problem else {
        panic!("{problem:?}");
    };
    assert!(text.contains("syntax error"), "{text}");
    assert!(text.contains(":2:"), "{text}");
}

#[test]
fn a_program_takes_a_snapshot() {
    let pool = Pool::new();
    let snapshot = pool.snapshot("@zcp");
    let program = ChannelProgram::new(format!("zfs.sync.snapshot('{snapshot}')"));
    assert_eq!(run(&pool, &program).unwrap(), None);
    assert!(pool.zfs.exists(&snapshot).unwrap());
}

#[test]
fn a_program_s_own_error_is_told_with_its_text() {
    let pool = Pool::new();
    let failed = problem(&pool, &ChannelProgram::new("assert(1 == 2)"));
    let ProgramProblem::Runtime(text) = &failed else {
        panic!("{failed:?}");
    };
    assert!(text.contains("assertion failed"), "{text}");
    let failed = problem(&pool, &ChannelProgram::new("error()"));
    assert!(matches!(failed, ProgramProblem::Runtime(_)), "{failed:?}");
    let failed = problem(&pool, &ChannelProgram::new("error('no such luck')"));
    let ProgramProblem::Runtime(text) = &failed else {
        panic!("{failed:?}");
    };
    assert!(text.contains("no such luck"), "{text}");
    let failed = problem(&pool, &ChannelProgram::new("return 1, 2"));
    assert!(
        format!("{failed}").contains("Multiple return values"),
        "{failed}"
    );
}

#[test]
fn a_read_only_program_changes_nothing() {
    let pool = Pool::new();
    let snapshot = pool.snapshot("@zcp");
    let program = ChannelProgram::new(format!("zfs.sync.snapshot('{snapshot}')")).read_only();
    let failed = problem(&pool, &program);
    let ProgramProblem::Runtime(text) = &failed else {
        panic!("{failed:?}");
    };
    assert!(
        text.contains("running functions from the zfs.sync"),
        "{text}"
    );
    assert!(!pool.zfs.exists(&snapshot).unwrap());
}

#[test]
fn arguments_go_in_and_the_same_comes_out() {
    let pool = Pool::new();
    let mut inner = NvList::new();
    inner.insert("yes", true).unwrap();
    inner.insert_str("text", "a\u{e4}b").unwrap();
    let mut arguments = NvList::new();
    arguments.insert("number", -5_i64).unwrap();
    arguments.insert("many", vec![1_u64, 2]).unwrap();
    arguments.insert("table", inner).unwrap();
    let program = ChannelProgram::new("return ...")
        .arguments(arguments)
        .read_only();
    let Some(Value::NvList(returned)) = run(&pool, &program).unwrap() else {
        panic!("no table");
    };
    assert_eq!(returned.get_i64("number"), Some(-5));
    let many = returned.get_nvlist("many").unwrap();
    assert_eq!((many.get_i64("1"), many.get_i64("2")), (Some(1), Some(2)));
    // Lua keeps no order within a table, so each is asked for by its name.
    let table = returned.get_nvlist("table").unwrap();
    assert_eq!(table.iter().count(), 2);
    assert_eq!(table.get("yes"), Some(&Value::BooleanValue(true)));
    assert_eq!(table.get_str("text"), Some("a\u{e4}b"));
}

#[test]
fn arguments_are_given_as_zfs_program_gives_them() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let program = ChannelProgram::new("return zfs.exists((...)['argv'][2])")
        .arguments_from(["first", a.as_str()])
        .unwrap()
        .read_only();
    assert_eq!(
        run(&pool, &program).unwrap(),
        Some(Value::BooleanValue(true))
    );
    assert!(ChannelProgram::new("").arguments_from(["a\0b"]).is_err());
}

#[test]
fn an_argument_that_lua_has_nothing_for_is_refused_by_name() {
    let pool = Pool::new();
    let mut arguments = NvList::new();
    arguments.insert("large", 7_u64).unwrap();
    let program = ChannelProgram::new("return 1").arguments(arguments);
    let error = run(&pool, &program).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("large is a uint64"), "{error}");
    let error = run(&pool, &ChannelProgram::new("return 1 \0")).unwrap_err();
    assert!(error.to_string().contains("zero byte"), "{error}");
}

#[test]
fn each_kind_of_value_comes_back() {
    let pool = Pool::new();
    let returned = |text: &str| run(&pool, &ChannelProgram::new(text).read_only()).unwrap();
    assert_eq!(returned("return nil"), Some(Value::Boolean));
    assert_eq!(returned("return false"), Some(Value::BooleanValue(false)));
    assert_eq!(returned("return 7"), Some(Value::Int64(7)));
    assert_eq!(returned("local x = 1"), None);
    let Some(Value::NvList(list)) = returned("return {'a', key='b'}") else {
        panic!("no table");
    };
    assert_eq!(list.get_str("1"), Some("a"));
    assert_eq!(list.get_str("key"), Some("b"));
}

#[test]
fn only_root_runs_programs() {
    if let Some(name) = fixture::argument_as_user() {
        let program = ChannelProgram::new("return 1").read_only();
        let error = zfs().program(&name.parse().unwrap(), &program).unwrap_err();
        assert!(error.is_permission(), "{error}");
        return;
    }
    let pool = Pool::new();
    fixture::again_as_user(&pool, "only_root_runs_programs", pool.name().as_str());
}
