//! The gRPC service of the bench of calls, from Rust instead of a `.proto` file: that would need `protoc`.

use tonic_build::manual::{Builder, Method, Service};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let get_item = Method::builder()
        .name("get_item")
        .route_name("GetItem")
        .input_type("crate::native::grpc::Id")
        .output_type("crate::native::grpc::Item")
        .codec_path("tonic_prost::ProstCodec")
        .build();
    Builder::new().compile(&[Service::builder().name("Teller").package("seambench").method(get_item).build()]);
}
