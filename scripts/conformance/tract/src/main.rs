//! The worker for tract: MODEL PIXELS COUNT LOGITS THREADS, as in workers/harness.py. tract computes on one thread.

use std::time::{Instant, SystemTime};
use tract_onnx::prelude::*;

const BATCH: usize = 100;
const PIXELS: usize = 28 * 28;
/// The version that Cargo.toml pins; tract names none at run time.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, model, pixels, count, target, _threads] = &arguments[..] else {
        return Err("usage: MODEL PIXELS COUNT LOGITS THREADS".into());
    };
    let count: usize = count.parse()?;
    let pixels = std::fs::read(pixels)?;
    let pixels = pixels.get(..count * PIXELS).ok_or("too few pixels")?;

    let model = tract_onnx::onnx()
        .model_for_path(model)?
        .with_input_fact(0, f32::fact([BATCH, 1, 28, 28]).into())?
        .into_optimized()?
        .into_runnable()?;

    let mut logits: Vec<u8> = Vec::new();
    let mut seconds = 0.0;
    let mut first_answer = None;
    for chunk in pixels.chunks(BATCH * PIXELS) {
        let images = chunk.len() / PIXELS;
        // The model is optimised for whole batches: the last one is filled with black images.
        let mut batch = vec![0f32; BATCH * PIXELS];
        for (value, pixel) in batch.iter_mut().zip(chunk) {
            *value = f32::from(*pixel);
        }
        let input = Tensor::from_shape(&[BATCH, 1, 28, 28], &batch)?;
        let begin = Instant::now();
        let output = model.run(tvec!(input.into()))?;
        seconds += begin.elapsed().as_secs_f64();
        first_answer.get_or_insert(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64());
        let scores = output[0].as_bytes();
        logits.extend_from_slice(&scores[..scores.len() / BATCH * images]);
    }
    std::fs::write(target, logits)?;
    println!(
        "{{\"version\": \"{VERSION}\", \"precision\": \"float32\", \"batch\": {BATCH}, \"threads\": 1, \"seconds\": {seconds}, \"first_answer\": {}}}",
        first_answer.unwrap_or_default()
    );
    Ok(())
}
