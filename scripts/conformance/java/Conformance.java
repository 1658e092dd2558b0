import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtSession;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;

/** The worker for onnxruntime in Java: MODEL INPUTS COUNT LOGITS THREADS SHAPE, as in workers/harness.py. */
public final class Conformance {
    private static final int BATCH = 100;

    public static void main(String[] arguments) throws Exception {
        int count = Integer.parseInt(arguments[2]);
        int threads = Integer.parseInt(arguments[4]);
        long[] shape = Arrays.stream(("0," + arguments[5]).split(",")).mapToLong(Long::parseLong).toArray();
        int size = Math.toIntExact(Arrays.stream(shape).skip(1).reduce(1, (a, b) -> a * b));
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        OrtSession.SessionOptions options = new OrtSession.SessionOptions();
        options.setIntraOpNumThreads(threads);
        try (OrtSession session = environment.createSession(arguments[0], options);
                FileChannel inputs = FileChannel.open(Path.of(arguments[1]));
                FileChannel logits = FileChannel.open(Path.of(arguments[3]), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            String input = session.getInputNames().iterator().next();
            long nanoseconds = 0;
            double firstAnswer = 0;
            for (int start = 0; start < count; start += BATCH) {
                int n = Math.min(BATCH, count - start);
                float[] images = new float[Math.multiplyExact(n, size)];
                ByteBuffer some = ByteBuffer.allocate(Math.multiplyExact(images.length, Float.BYTES)).order(ByteOrder.LITTLE_ENDIAN);
                while (some.hasRemaining() && inputs.read(some) >= 0) {}
                some.flip().asFloatBuffer().get(images);
                shape[0] = n;
                long begin = System.nanoTime();
                try (OnnxTensor tensor = OnnxTensor.createTensor(environment, FloatBuffer.wrap(images), shape);
                        OrtSession.Result result = session.run(Map.of(input, tensor))) {
                    float[][] scores = (float[][]) result.get(0).getValue();
                    nanoseconds += System.nanoTime() - begin;
                    if (start == 0) {
                        firstAnswer = System.currentTimeMillis() / 1000.0;
                    }
                    ByteBuffer bytes = ByteBuffer.allocate(n * scores[0].length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
                    Arrays.stream(scores).forEach(row -> { for (float score : row) bytes.putFloat(score); });
                    logits.write(bytes.flip());
                }
            }
            System.out.printf(
                    Locale.ROOT,
                    "{\"version\": \"%s\", \"precision\": \"float32\", \"batch\": %d, \"threads\": %d, \"seconds\": %f, \"first_answer\": %f, \"host\": \"Java %s\"}%n",
                    environment.getVersion(), BATCH, threads, nanoseconds / 1e9, firstAnswer, System.getProperty("java.version"));
        }
    }
}
