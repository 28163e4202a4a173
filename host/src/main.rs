//! The binary `seam`. Everything is in `cli`.

fn main() -> std::process::ExitCode {
    seam::cli::main()
}
