//! The one wasmtime engine: what guests may use of WebAssembly, and where their memory comes from.
//!
//! Invariant: the settings that decide how code is compiled are the same in the compiling child process and in the host;
//! only the allocator differs, and how hard the compiler tries.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, RegallocAlgorithm};

use super::function_cache::Functions;
use crate::limits;

/// The engine that runs contexts.
///
/// # Errors
/// When the machine cannot reserve the address space of the instance pool.
pub fn running() -> wasmtime::Result<Engine> {
    let mut config = compiling_config();
    let mut pool = PoolingAllocationConfig::new();
    let bytes = |mb: u64| usize::try_from(mb << 20).unwrap_or(usize::MAX);
    pool.total_component_instances(limits::INSTANCES_MAX)
        .total_core_instances(limits::INSTANCES_MAX * 4)
        .total_memories(limits::INSTANCES_MAX)
        .total_tables(limits::INSTANCES_MAX * 4)
        .total_stacks(limits::FIBERS_MAX)
        .max_core_instances_per_component(limits::CORE_INSTANCES_PER_COMPONENT_MAX)
        .max_memories_per_component(limits::MEMORIES_PER_COMPONENT_MAX)
        .max_tables_per_component(limits::TABLES_PER_COMPONENT_MAX)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .table_elements(limits::TABLE_ELEMENTS_MAX)
        .max_memory_size(bytes(limits::INSTANCE_MEMORY_MB_MAX))
        // Resetting the first pages by memset is cheaper than giving them back to the kernel and faulting them in again.
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(8 << 10);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config)?;
    let ticker = engine.weak();
    // An OS thread, not a task: guests keep the tokio workers busy, and it is then that the tick is needed.
    std::thread::Builder::new().name("epoch".into()).spawn(move || {
        while let Some(engine) = ticker.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(Duration::from_millis(limits::EPOCH_TICK_MS));
        }
    })?;
    Ok(engine)
}

/// An engine that compiles for `running` and runs nothing.
///
/// # Errors
/// When this machine's processor is not supported.
pub fn compiling() -> wasmtime::Result<Engine> {
    Engine::new(&compiling_config())
}

/// An engine that compiles for `running` in a third of the time, to code that takes twice as long, and functions that it knows already
/// in a tenth. How hard the compiler tries and how much it writes down for traps are settings in which compiled code may differ from
/// the engine that runs it.
///
/// # Errors
/// When this machine's processor is not supported.
pub fn compiling_quickly() -> wasmtime::Result<Engine> {
    let mut config = compiling_config();
    config
        .cranelift_opt_level(OptLevel::None)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
        // A trap is told with the names of its functions all the same.
        .generate_address_map(false)
        .enable_incremental_compilation(Arc::new(Functions::default()))?;
    Engine::new(&config)
}

fn compiling_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Costs 600 ns a call and buys component-model async, which seams do not use.
        .concurrency_support(false)
        .max_wasm_stack(limits::WASM_STACK_KB << 10)
        .async_stack_size(limits::FIBER_STACK_KB << 10)
        .memory_reservation(limits::INSTANCE_MEMORY_MB_MAX << 20)
        .memory_guard_size(32 << 20)
        .memory_reservation_for_growth(0)
        .memory_may_move(false)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking)
        // Compiled into wasmtime for its fixes, switched off for guests: no context needs them, and they are attack surface.
        .wasm_threads(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_memory64(false)
        .gc_support(false);
    config
}
