//! The one wasmtime engine: which parts of WebAssembly guests may use, and where their memory comes from.
//!
//! Invariant: the compiling child process and the host use the same settings for compiled code. Only the allocator and
//! the optimisation level may differ.

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
        // Resetting the first pages by memset is cheaper than returning them to the kernel and faulting them in again.
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(8 << 10);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config)?;
    let ticker = engine.weak();
    // An OS thread, not a task: the tick is needed just when guests keep all tokio workers busy.
    std::thread::Builder::new().name("epoch".into()).spawn(move || {
        while let Some(engine) = ticker.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(Duration::from_millis(limits::EPOCH_TICK_MS));
        }
    })?;
    Ok(engine)
}

/// An engine that only compiles code for `running`.
///
/// # Errors
/// When this machine's processor is not supported.
pub fn compiling() -> wasmtime::Result<Engine> {
    Engine::new(&compiling_config())
}

/// An engine that compiles code for `running` in a third of the time, and known functions in a tenth; the code takes
/// twice as long to run. wasmtime lets the optimisation level and the trap information of compiled code differ from
/// those of the engine that runs it.
///
/// # Errors
/// When this machine's processor is not supported.
pub fn compiling_quickly() -> wasmtime::Result<Engine> {
    let mut config = compiling_config();
    config
        .cranelift_opt_level(OptLevel::None)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
        // Trap messages name the functions even without this map.
        .generate_address_map(false)
        .enable_incremental_compilation(Arc::new(Functions::default()))?;
    Engine::new(&config)
}

fn compiling_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Costs 600 ns per call for component-model async, which seams do not use.
        .concurrency_support(false)
        .max_wasm_stack(limits::WASM_STACK_KB << 10)
        .async_stack_size(limits::FIBER_STACK_KB << 10)
        .memory_reservation(limits::INSTANCE_MEMORY_MB_MAX << 20)
        .memory_guard_size(32 << 20)
        .memory_reservation_for_growth(0)
        .memory_may_move(false)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking)
        // Compiled into wasmtime for its fixes, but off for guests: no context needs them, and they are attack surface.
        .wasm_threads(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_memory64(false)
        .gc_support(false);
    config
}
