package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"unsafe"

	"slipway/builder"
	"slipway/internal/collective"
	"slipway/internal/device"
)

// Agree has the ranks of Config.Communicator tell each other what they are about to do, and returns
// a DisagreementError on all of them where that is not the same: other kernels round in another
// order, and other data or settings make it another run. Fit calls it, unless it was called before,
// to find out before anything is written. Without other ranks it does nothing.
func (t *Trainer) Agree(ctx context.Context) error {
	if t.together == nil || t.together.agreed {
		return nil
	}
	claims, err := t.claims(ctx)
	if err != nil {
		return err
	}
	own, err := json.Marshal(claims)
	if err != nil {
		return fmt.Errorf("tell the other ranks of the run: %w", err)
	}
	all, err := collective.Gather(ctx, t.together, own)
	if err != nil {
		return err
	}
	told := make([]map[string]string, len(all))
	for rank, raw := range all {
		if err := json.Unmarshal(raw, &told[rank]); err != nil {
			return fmt.Errorf("rank %d says what is no list of settings: %w", rank, err)
		}
		t.together.stop = t.together.stop || told[rank][claimStop] != ""
		delete(told[rank], claimStop)
	}
	if differences := compareClaims(told); len(differences) > 0 {
		return &DisagreementError{differences}
	}
	if err := t.joinDevices(ctx); err != nil {
		return err
	}
	t.together.agreed = true
	return nil
}

// claimStop is set by a rank that was asked to stop already, which the others need not be.
const claimStop = "stop"

// claims is what a rank says of itself, by name.
func (t *Trainer) claims(ctx context.Context) (map[string]string, error) {
	settings, err := t.config.Settings()
	if err != nil {
		return nil, err
	}
	claims := make(map[string]string)
	for name, value := range settings {
		if name != "data" { // what the set is called here; its digest counts
			claims["setting "+name] = value
		}
	}
	network, err := json.Marshal(t.network)
	if err != nil {
		return nil, fmt.Errorf("network: %w", err)
	}
	sets := t.sets()
	claims["program"] = programVersion()
	claims["engine"] = t.engine.Name()
	claims["kernel set"] = t.KernelSet()
	if joiner, ok := t.config.Device.(device.Joiner); ok {
		claims["device"] = joiner.Model()
	}
	claims["network"] = shortDigest(network)
	claims["training set"] = sets.Training.SHA256
	claims["weights"] = hex.EncodeToString(digestOf(t.variables))[:digits]
	claims["steps done"] = strconv.Itoa(t.progress.Step)
	if sets.Test != nil {
		claims["test set"] = sets.Test.SHA256
	}
	if ctx.Err() != nil {
		claims[claimStop] = "yes"
	}
	return claims, nil
}

// programVersion says what is running: a rank of another version may round in another order.
func programVersion() string {
	text := runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	if info, ok := debug.ReadBuildInfo(); ok {
		text = info.Main.Version + " " + text
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision", "vcs.modified", "CGO_ENABLED", "GOAMD64", "GOARM64":
				text += " " + setting.Value
			}
		}
	}
	return text
}

// digits of a digest tell two of them apart.
const digits = 16

func shortDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:digits]
}

// compareClaims says how the claims of ranks differ from rank 0's.
func compareClaims(told []map[string]string) []string {
	names := make(map[string]bool)
	for _, claims := range told {
		for name := range claims {
			names[name] = true
		}
	}
	var differences []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		for rank, claims := range told {
			if was, is := told[0][name], claims[name]; is != was {
				differences = append(differences, fmt.Sprintf("%s is %s on rank 0 and %s on rank %d",
					name, orNone(was), orNone(is), rank))
				break // one example is enough
			}
		}
	}
	return differences
}

// compareWeights finds ranks whose weights are others, at an epoch's end: all have added the same
// gradients to the same weights, so that one of them computes wrongly.
func (t *Trainer) compareWeights(ctx context.Context) error {
	if t.together == nil {
		return nil
	}
	const size = sha256.Size // and a byte that says whether the rank was asked to stop
	blocks := make([]byte, (size+1)*t.together.Size())
	own := blocks[(size+1)*t.together.Rank():]
	copy(own, digestOf(t.variables))
	if ctx.Err() != nil {
		own[size] = 1
	}
	if err := collective.Share(ctx, t.together, blocks); err != nil {
		return err
	}
	var differences []string
	for rank := range t.together.Size() {
		block := blocks[(size+1)*rank:][:size+1]
		t.together.stop = t.together.stop || block[size] != 0
		if !bytes.Equal(block[:size], blocks[:size]) {
			differences = append(differences, fmt.Sprintf("after epoch %d the weights of rank %d are %x… "+
				"and those of rank 0 %x…, though both added the same gradients: one of the machines computes "+
				"otherwise, or wrongly", t.progress.Epochs+1, rank, block[:digits/2], blocks[:digits/2]))
		}
	}
	if len(differences) > 0 {
		return &DisagreementError{differences}
	}
	return nil
}

// digestOf returns the sha256 of the weights as they lie in the engine.
func digestOf(variables *builder.Variables) []byte {
	sum := sha256.New()
	for _, value := range variables.Values() {
		weights := value.Float32s()
		_, _ = sum.Write(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(weights))), 4*len(weights)))
	}
	return sum.Sum(nil)
}
