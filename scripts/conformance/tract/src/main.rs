//! The worker for tract: MODEL INPUTS COUNT LOGITS THREADS SHAPE, as in workers/harness.py. tract computes on one thread.
//! INPUTS are float32 or, where it ends in .u8, uint8; CONFORMANCE_BATCH is the batch of a model that takes no other.

use std::time::{Instant, SystemTime};
use tract_onnx::prelude::*;

const BATCH: usize = 100;
/// The version that Cargo.toml pins; tract names none at run time.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, model, inputs, count, target, _threads, shape] = &arguments[..] else {
        return Err("usage: MODEL INPUTS COUNT LOGITS THREADS SHAPE".into());
    };
    let count: usize = count.parse()?;
    let bytes = inputs.ends_with(".u8");
    let width = if bytes { 1 } else { 4 };
    let batch_size = std::env::var("CONFORMANCE_BATCH").map_or(Ok(BATCH), |text| text.parse())?;
    let mut shape = shape.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    let pixels: usize = shape.iter().product();
    let inputs = std::fs::read(inputs)?;
    let inputs = inputs.get(..count * pixels * width).ok_or("too few images")?;
    shape.insert(0, batch_size);
    let fact = if bytes { u8::fact(&shape) } else { f32::fact(&shape) };

    let model = tract_onnx::onnx()
        .model_for_path(model)?
        .with_input_fact(0, fact.into())?
        .into_optimized()?
        .into_runnable()?;

    let mut logits: Vec<u8> = Vec::new();
    let mut seconds = 0.0;
    let mut first_answer = None;
    for chunk in inputs.chunks(batch_size * pixels * width) {
        let images = chunk.len() / (pixels * width);
        // The model is optimised for whole batches: the last one is filled with images of zeros.
        let input = if bytes {
            let mut batch = chunk.to_vec();
            batch.resize(batch_size * pixels, 0);
            Tensor::from_shape(&shape, &batch)?
        } else {
            let mut batch = vec![0f32; batch_size * pixels];
            for (value, bytes) in batch.iter_mut().zip(chunk.chunks_exact(4)) {
                *value = f32::from_le_bytes(bytes.try_into()?);
            }
            Tensor::from_shape(&shape, &batch)?
        };
        let begin = Instant::now();
        let output = model.run(tvec!(input.into()))?;
        seconds += begin.elapsed().as_secs_f64();
        first_answer.get_or_insert(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64());
        let scores = output[0].as_bytes();
        logits.extend_from_slice(&scores[..scores.len() / batch_size * images]);
    }
    std::fs::write(target, logits)?;
    println!(
        "{{\"version\": \"{VERSION}\", \"precision\": \"float32\", \"batch\": {batch_size}, \"threads\": 1, \"seconds\": {seconds}, \"first_answer\": {}}}",
        first_answer.unwrap_or_default()
    );
    Ok(())
}
