package dataset

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"slipway/internal/atomicfile"
)

const (
	// maxArchive exceeds CIFAR's archives, of about 170 MB.
	maxArchive = 1 << 28
	// maxSilence is how long a server may send nothing before it is given up.
	maxSilence = time.Minute
)

// openCIFAR opens a part of a set in the cache: the archive as its authors publish it.
// Its md5, which is what they publish of it, is verified on each use.
func openCIFAR(ctx context.Context, c cifar, dir string, part Part, opts Options) (*Set, error) {
	if part == "" {
		part = opts.Part
	}
	if part == "" {
		part = Test
	}
	archive := opts.archiveOf(c)
	file := filepath.Join(dir, archive.name)
	if err := verifyArchive(ctx, file, archive); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, notBrought(c.word, err)
	}
	_, _, found, err := readCIFARArchive(ctx, file, part, opts)
	if err != nil {
		return nil, err
	}
	name := c.word + suffixOf(part)
	set, err := c.set(name, part, found, opts)
	if err != nil {
		return nil, err
	}
	set.Place = name
	return set, nil
}

// archiveOf is the archive that the set comes in.
func (o Options) archiveOf(c cifar) publishedArchive {
	if o.archive != nil {
		return *o.archive
	}
	return c.archive
}

func verifyArchive(ctx context.Context, path string, archive publishedArchive) error {
	f, err := openRegular(path, archive.name)
	if err != nil {
		return err
	}
	defer f.Close()
	return archive.copy(ctx, io.Discard, f, path)
}

// copy copies an archive and verifies it on the way; its error is of the whole then,
// though all is written.
func (a publishedArchive) copy(ctx context.Context, w io.Writer, r io.Reader, from string) error {
	sum := md5.New()
	r = &cancelled{ctx, newCapped(r, maxArchive)}
	if _, err := io.Copy(io.MultiWriter(w, sum), r); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != a.md5 {
		return fmt.Errorf("%s: %w: its md5 is %s, that of %s %s; copy or download the file again",
			from, ErrChecksum, got, a.name, a.md5)
	}
	return nil
}

// cancelled stops reading where its context ends.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// fetchCIFAR puts the archive into the cache, from Options.From or from its authors. It
// appears whole and verified, or not at all.
func fetchCIFAR(ctx context.Context, c cifar, dir string, opts Options) error {
	archive := opts.archiveOf(c)
	file := filepath.Join(dir, archive.name)
	if err := verifyArchive(ctx, file, archive); err == nil {
		return nil
	}
	source, err := opts.sourceOf(ctx, archive)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := atomicfile.MkdirAll(dir); err != nil {
		return err
	}
	var copying error
	err = atomicfile.Write(file, func(w io.Writer) error {
		copying = archive.copy(ctx, w, source, source.from)
		return copying
	})
	switch cause := context.Cause(source.ctx); {
	case copying == nil || opts.From != "":
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case cause != nil: // the server went silent
		return notDownloaded(archive, cause)
	}
	return notDownloaded(archive, copying)
}

// archiveSource is where the bytes of an archive come from.
type archiveSource struct {
	io.Reader
	from  string
	ctx   context.Context // ends when the source has gone silent
	close func() error
}

func (s *archiveSource) Close() error { return s.close() }

func (o Options) sourceOf(ctx context.Context, archive publishedArchive) (*archiveSource, error) {
	if o.From == "" {
		return download(ctx, archive, o)
	}
	f, err := openRegular(o.From, archive.name)
	if err != nil {
		return nil, err
	}
	return &archiveSource{Reader: f, from: o.From, ctx: ctx, close: f.Close}, nil
}

func notDownloaded(archive publishedArchive, err error) error {
	return fmt.Errorf("%s could not be brought: %w; where it is at hand, `dataset fetch -from "+
		"FILE` takes it from there (md5 %s)", archive.address, err, archive.md5)
}

// download begins to bring an archive from its address, and says how far it is.
func download(ctx context.Context, archive publishedArchive, opts Options) (*archiveSource, error) {
	opts.say("bringing %s", archive.address)
	inner, cancel := context.WithCancelCause(ctx)
	silence := cmp.Or(archive.silence, maxSilence)
	watch := time.AfterFunc(silence, func() {
		cancel(fmt.Errorf("the server has sent nothing for %v", silence))
	})
	stop := func() error {
		watch.Stop()
		cancel(nil)
		return nil
	}
	request, err := http.NewRequestWithContext(inner, http.MethodGet, archive.address, nil)
	if err != nil {
		stop()
		return nil, err
	}
	// A server may call the archive's own compression one of the transfer.
	request.Header.Set("Accept-Encoding", "identity")
	client := &http.Client{CheckRedirect: checkRedirect}
	response, err := client.Do(request)
	if err == nil && response.StatusCode != http.StatusOK {
		response.Body.Close()
		err = fmt.Errorf("the server answers %s", response.Status)
	}
	if err != nil {
		cause := context.Cause(inner)
		stop()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case cause != nil:
			err = cause
		}
		return nil, notDownloaded(archive, err)
	}
	body := &progress{
		r:       response.Body,
		watch:   watch,
		silence: silence,
		whole:   response.ContentLength,
		name:    archive.name,
		say:     opts.say,
	}
	return &archiveSource{Reader: body, from: archive.address, ctx: inner, close: func() error {
		return errors.Join(stop(), response.Body.Close())
	}}, nil
}

// checkRedirect follows a server to other places, but not from https to http.
func checkRedirect(to *http.Request, via []*http.Request) error {
	switch {
	case len(via) > 10:
		return errors.New("more than 10 redirections")
	case via[0].URL.Scheme == "https" && to.URL.Scheme != "https":
		return fmt.Errorf("it leads to %s, which is not https", to.URL)
	}
	return nil
}

// progress says after each tenth how much has come, or after each 16 MB where it is not
// known how much there is.
type progress struct {
	r           io.Reader
	watch       *time.Timer
	silence     time.Duration
	whole, done int64
	told        int64
	name        string
	say         func(format string, args ...any)
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if n > 0 {
		p.watch.Reset(p.silence)
	}
	p.done += int64(n)
	step := p.whole / 10
	if step <= 0 {
		step = 16_000_000
	}
	if p.done/step > p.told {
		p.told = p.done / step
		if p.whole > 0 {
			p.say("%s: %.1f of %.1f MB", p.name, float64(p.done)/1e6, float64(p.whole)/1e6)
		} else {
			p.say("%s: %.1f MB", p.name, float64(p.done)/1e6)
		}
	}
	return n, err
}
