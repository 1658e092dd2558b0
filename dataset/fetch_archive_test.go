package dataset

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// publish is a small archive of the set and what is known of it.
func (c cifar) publish(t testing.TB, address string) ([]byte, *publishedArchive) {
	t.Helper()
	names, files := c.small()
	data := packIDX(t, cifarTar(t, c.folder, names, files))
	sum := md5.Sum(data)
	return data, &publishedArchive{name: c.archive.name, address: address + "/" + c.archive.name,
		md5: hex.EncodeToString(sum[:])}
}

// Both sets come from their authors' page into the cache and are words then.
func TestFetchCIFAR(t *testing.T) {
	for _, c := range cifars() {
		t.Run(c.word, func(t *testing.T) {
			var data []byte
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				if r.URL.Path == "/"+c.archive.name {
					http.Redirect(w, r, "/moved/"+c.archive.name, http.StatusFound)
					return
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(data)))
				w.Write(data)
			}))
			defer server.Close()
			var messages bytes.Buffer
			cache := filepath.Join(t.TempDir(), "cache")
			opts := Options{CacheDir: cache, Messages: &messages}
			data, opts.archive = c.publish(t, server.URL)
			for range 2 { // what is there is verified only
				if dir, err := FetchNamed(t.Context(), c.word, opts); err != nil || dir != cache {
					t.Fatalf("%s, %v", dir, err)
				}
			}
			if said := messages.String(); asked != 2 || !strings.Contains(said, "bringing "+server.URL) ||
				!strings.Contains(said, "MB") {
				t.Errorf("%d requests, messages %q", asked, said)
			}
			server.Close() // from here on there is no network
			training, test := asTrain(t, t.TempDir(), c.word, opts)
			if training.Name != c.word+":train" || test.Name != c.word+":t10k" ||
				training.Place != training.Name || test.Place != test.Name {
				t.Errorf("%s at %s, %s at %s", training.Name, training.Place, test.Name, test.Place)
			}
			if training.Classes != c.classes || len(training.ClassNames) != c.classes {
				t.Errorf("%d classes, called %v", training.Classes, training.ClassNames)
			}
			for word, want := range map[string]*Set{c.word: test, c.word + ":t10k": test,
				c.word + ":train": training} {
				if set, err := Open(t.Context(), word, opts); err != nil || set.Digest() != want.Digest() ||
					set.Name != want.Name {
					t.Errorf("%s: %v, %v", word, set, err)
				}
			}
			spoil(t, filepath.Join(cache, c.archive.name))
			if _, err := Open(t.Context(), c.word, opts); !errors.Is(err, ErrNotBrought) ||
				!errors.Is(err, ErrChecksum) {
				t.Errorf("spoiled in the cache: %v", err)
			}
		})
	}
}

func TestFetchCIFARFromAFile(t *testing.T) {
	c, dir := cifar10(), t.TempDir()
	data, archive := c.publish(t, "http://127.0.0.1:1")
	file, cache := filepath.Join(dir, "mine.tgz"), filepath.Join(dir, "cache")
	writeFiles(t, dir, map[string][]byte{"mine.tgz": data, "other.tgz": append(bytes.Clone(data), 0)})
	opts := Options{CacheDir: cache, archive: archive, From: filepath.Join(dir, "other.tgz")}
	if _, err := FetchNamed(t.Context(), CIFAR10, opts); !errors.Is(err, ErrChecksum) ||
		!strings.Contains(err.Error(), "other.tgz") || !strings.Contains(err.Error(), archive.md5) {
		t.Errorf("another file: %v", err)
	}
	if left := entries(cache); len(left) > 0 {
		t.Errorf("a failed fetch left %v", left)
	}
	for _, from := range []string{dir, filepath.Join(dir, "nothing")} {
		opts.From = from
		if _, err := FetchNamed(t.Context(), CIFAR10, opts); err == nil ||
			!strings.Contains(err.Error(), from) {
			t.Errorf("from %s: %v", from, err)
		}
	}
	opts.From = file
	if _, err := FetchNamed(t.Context(), CIFAR10, opts); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(cache, c.archive.name)); err != nil ||
		!bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, name := range []string{Fashion, Optdigits} {
		if _, err := FetchNamed(t.Context(), name, opts); !errors.Is(err, ErrArgument) {
			t.Errorf("%s from a file: %v", name, err)
		}
	}
	if _, err := Open(t.Context(), CIFAR10, opts); !errors.Is(err, ErrArgument) {
		t.Errorf("opened from a file: %v", err)
	}
}

// What cannot be brought says why and what else there is, and leaves nothing.
func TestFetchCIFARFails(t *testing.T) {
	c := cifar100()
	data, _ := c.publish(t, "")
	silent := make(chan struct{})
	for name, test := range map[string]struct {
		serve http.HandlerFunc
		want  error
		says  string
	}{
		"not found": {http.NotFound, nil, "404 Not Found"},
		"another": {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) },
			ErrChecksum, "its md5 is"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000000")
			w.Write(data[:1000])
		}, nil, "unexpected EOF"},
		"silent": {func(w http.ResponseWriter, _ *http.Request) {
			w.Write(data[:1000])
			w.(http.Flusher).Flush()
			<-silent
		}, nil, "sent nothing for"},
		"silent from the start": {func(http.ResponseWriter, *http.Request) { <-silent }, nil,
			"sent nothing for"},
		"in a circle": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}, nil, "10 redirections"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.serve)
			cache := filepath.Join(t.TempDir(), "cache")
			opts := Options{CacheDir: cache}
			_, opts.archive = c.publish(t, server.URL)
			opts.archive.silence = time.Minute // which a busy machine keeps
			if strings.HasPrefix(name, "silent") {
				opts.archive.silence = 200 * time.Millisecond
			}
			_, err := FetchNamed(t.Context(), CIFAR100, opts)
			if err == nil || test.want != nil && !errors.Is(err, test.want) ||
				!strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "-from FILE") {
				t.Errorf("%v, want %q and the other way", err, test.says)
			}
			if left := entries(cache); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
			if name == "silent" {
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				if _, err := FetchNamed(ctx, CIFAR100, opts); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("cancelled: %v", err)
				}
			}
		})
	}
	close(silent)
}

// https is not left for http.
func TestFetchStaysWithHTTPS(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	to, _ := http.NewRequest(http.MethodGet, plain.URL, nil)
	via, _ := http.NewRequest(http.MethodGet, cifar10().archive.address, nil)
	if err := checkRedirect(to, []*http.Request{via}); err == nil ||
		!strings.Contains(err.Error(), "not https") {
		t.Errorf("%v", err)
	}
}

// What comes is told in tenths, and every 16 MB where nobody says how much there is.
func TestWhatIsToldOfADownload(t *testing.T) {
	zeros := func(bytes int64) io.Reader {
		return io.NewSectionReader(zeroReader{}, 0, bytes)
	}
	for _, test := range []struct {
		whole, comes int64
		want         []string
	}{
		{-1, 33_000_000, []string{"a: 16.0 MB", "a: 32.0 MB"}},
		{-1, 15_000_000, nil},
		{20_000_000, 20_000_000, []string{"a: 2.0 of 20.0 MB", "a: 4.0 of 20.0 MB",
			"a: 6.0 of 20.0 MB", "a: 8.0 of 20.0 MB", "a: 10.0 of 20.0 MB", "a: 12.0 of 20.0 MB",
			"a: 14.0 of 20.0 MB", "a: 16.0 of 20.0 MB", "a: 18.0 of 20.0 MB", "a: 20.0 of 20.0 MB"}},
	} {
		var said []string
		p := &progress{r: zeros(test.comes), watch: time.NewTimer(time.Hour), silence: time.Hour,
			whole: test.whole, name: "a", say: func(format string, args ...any) {
				said = append(said, fmt.Sprintf(format, args...))
			}}
		for buffer := make([]byte, 1_000_000); ; {
			if _, err := p.Read(buffer); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(said, test.want) {
			t.Errorf("%d bytes of %d: told %q, want %q", test.comes, test.whole, said, test.want)
		}
	}
}

// zeroReader has zeros at every place.
type zeroReader struct{}

func (zeroReader) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}
