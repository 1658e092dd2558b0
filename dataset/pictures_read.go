package dataset

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"slipway/dataset/picture"
	"slipway/internal/display"
)

// DefaultPictureLimit is the most bytes that the pictures of a set take in memory at
// one size, unless Options.Limit says otherwise.
const DefaultPictureLimit = 8 << 30

// DefaultMemory is Options.Memory where it is 0.
const DefaultMemory = 2_000_000_000

// intake reads each file of a list once: its digest, and what is kept of its picture. What
// it makes does not depend on how many cores there are.
type intake struct {
	opts Options
	list *pictureFiles
	// limit is the most bytes of pictures to hold in memory; asked is what it follows from.
	limit, asked int64
	// inMemory refuses what takes more.
	inMemory bool
	// look is given each picture that could be decoded, on several threads; nil for none.
	look   func(image *picture.Image, resizer *picture.Resizer) error
	next   atomic.Int64 // the first file that nobody has taken
	facts  []fact
	images decoded // those that are held
	held   int64
	told   time.Time
	// collected is what the process had allocated when it last collected.
	collected atomic.Uint64
}

// fact is what is known of a file once it is read.
type fact struct {
	content                 content
	channels, height, width int // of what is kept of the picture
	format                  string
	// damaged says why it is no picture, nil if it is one; unread is why it could not
	// be read at all.
	damaged, unread error
}

// errFull says that the pictures take more than the limit.
var errFull = errors.New("the pictures take more memory than they may")

func newIntake(list *pictureFiles, opts Options, limit int64) *intake {
	return &intake{
		opts: opts, list: list, limit: limit, asked: limit,
		facts: make([]fact, len(list.files)), images: make(decoded, len(list.files)),
		told: time.Now(),
	}
}

// kept is the sizing of what is kept: none of originals.
func (t *intake) kept() *picture.Sizing {
	if t.opts.Originals {
		return nil
	}
	return t.opts.Sizing
}

// run reads files that nobody has taken, on all cores, and hands over each picture, one at
// a time. An error of take ends it, once the pictures under way are handed over, too.
func (t *intake) run(ctx context.Context, take func(place int, image *picture.Image) error) error {
	var (
		lock    sync.Mutex
		failed  error
		workers sync.WaitGroup
	)
	ended := func() bool {
		lock.Lock()
		defer lock.Unlock()
		return failed != nil || ctx.Err() != nil
	}
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			var resizer picture.Resizer
			for !ended() {
				place := int(t.next.Add(1)) - 1
				if place >= len(t.facts) {
					return
				}
				image := t.read(place, &resizer)
				lock.Lock()
				if image != nil {
					if err := take(place, image); err != nil && failed == nil {
						failed = err
					}
				}
				t.tell(place + 1)
				lock.Unlock()
				t.collect()
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return failed
}

// read takes in one file. It returns nil, and keeps the reason, if there is no picture.
func (t *intake) read(place int, resizer *picture.Resizer) *picture.Image {
	fact := &t.facts[place]
	data, err := t.list.files[place].read()
	if err != nil {
		fact.unread = err
		return nil
	}
	fact.content, fact.format = sha256.Sum256(data), picture.Format(data)
	if t.opts.inspection != nil && t.opts.inspection.undecoded {
		return nil
	}
	image, err := decode(t.list.files[place], data, t.opts.Channels, t.kept(), resizer)
	if err != nil {
		fact.damaged = err
		return nil
	}
	if t.look != nil {
		if err := t.look(image, resizer); err != nil {
			fact.damaged = fmt.Errorf("%s: %w", t.list.files[place].where, err)
			return nil
		}
	}
	fact.channels, fact.height, fact.width = image.Channels, image.Height, image.Width
	return image
}

// collectEvery is how many bytes are allocated before what is not held is collected. Left
// to itself the collector lets as much pile up as is held: twice the memory that is asked
// for. Pictures have no pointers, so that it is soon done with them.
const collectEvery = 64 << 20

// collect keeps what decoding leaves behind small beside what is held.
func (t *intake) collect() {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return
	}
	now, before := sample[0].Value.Uint64(), t.collected.Load()
	if now-before >= collectEvery && t.collected.CompareAndSwap(before, now) {
		runtime.GC()
	}
}

// tellEvery is how long a set is read without a word.
const tellEvery = 10 * time.Second

func (t *intake) tell(done int) {
	if time.Since(t.told) < tellEvery {
		return
	}
	t.told = time.Now()
	t.opts.say("%s: %s of %s read", t.list.place, display.Thousands(done),
		counted(len(t.facts), "picture", "pictures"))
}

// hold keeps a picture in memory.
func (t *intake) hold(place int, image *picture.Image) error {
	t.images[place] = image
	t.held += int64(len(image.Pixels))
	if t.held > t.limit {
		return errFull
	}
	return nil
}

// readable returns the places of the pictures that could be read. What could not ends it,
// or is told and left out.
func (t *intake) readable() (kept []int, err error) {
	var first error
	damaged := 0
	for place := range t.facts {
		fact := &t.facts[place]
		err := fact.unread
		if err == nil {
			err = fact.damaged
		}
		if err == nil {
			kept = append(kept, place)
			continue
		}
		damaged++
		if first == nil {
			first = err
		}
		if t.opts.SkipDamaged {
			t.opts.say("left out: %v", err)
		}
	}
	switch {
	case damaged > 0 && !t.opts.SkipDamaged && damaged == 1:
		return nil, fmt.Errorf("%w (-skip-damaged leaves it out)", first)
	case damaged > 0 && !t.opts.SkipDamaged:
		return nil, fmt.Errorf("%w (and %d more of %d files; -skip-damaged leaves them out)", first,
			damaged-1, len(t.facts))
	case len(kept) == 0 && damaged > 0:
		return nil, fmt.Errorf("%s: %w: none of its %s could be read", t.list.place, ErrEmpty,
			counted(damaged, "file", "files"))
	case len(kept) == 0:
		return nil, fmt.Errorf("%s: %w", t.list.place, ErrEmpty)
	}
	return kept, nil
}

// describe makes the set of the pictures that are kept, without its store: in colour if
// any of them is.
func (t *intake) describe(name string, kept []int) (*Pictures, error) {
	set := &Pictures{
		info: Info{Name: name, Images: len(kept), LeftOut: len(t.facts) - len(kept),
			Licence: t.list.licence, ClassNames: t.list.classes},
		scratch: &sync.Pool{New: func() any { return new(readScratch) }},
	}
	first := t.facts[kept[0]]
	highest, oneSize := int32(0), true
	for _, place := range kept {
		fact, file := &t.facts[place], &t.list.files[place]
		set.info.Channels = max(set.info.Channels, fact.channels)
		mixed := fact.height != first.height || fact.width != first.width
		oneSize = oneSize && !mixed
		if mixed && !t.opts.Originals && t.opts.inspection == nil {
			return nil, fmt.Errorf("%s: %w: %s is %d×%d pixels (height × width), %s %d×%d; "+
				"give them one size with -resize", name, ErrSize, t.list.files[kept[0]].name,
				first.height, first.width, file.name, fact.height, fact.width)
		}
		if t.list.combinations == nil && (file.label < 0 || file.label >= MaxClasses) {
			return nil, fmt.Errorf("%s: %w: %d, 0 to %d are possible", file.where, ErrLabel,
				file.label, MaxClasses-1)
		}
		highest = max(highest, file.label)
		set.labels, set.files = append(set.labels, file.label), append(set.files, file.name)
		set.contents, set.at = append(set.contents, fact.content), append(set.at, int32(place))
	}
	if oneSize {
		set.info.Height, set.info.Width = first.height, first.width
	}
	if t.opts.Originals {
		set.sizing = t.opts.Sizing
		set.info.Height, set.info.Width = set.sizing.Height, set.sizing.Width
	}
	if t.opts.Sizing != nil {
		set.info.Sizing = t.opts.Sizing.String()
	}
	if t.list.combinations != nil {
		set.info.MultiLabel, set.info.Combinations = true, t.list.combinations
		highest = t.list.combinations.Highest()
	}
	set.info.Classes = max(int(highest)+1, len(t.list.classes))
	set.info.SHA256 = set.digest()
	return set, nil
}

// inOnePiece makes a Set of pictures that are all in memory, and forgets them.
func (t *intake) inOnePiece(p *Pictures) (*Set, error) {
	size := p.info.Channels * p.info.Height * p.info.Width
	images := make([]uint8, size*len(p.at))
	for i, place := range p.at {
		spread(images[i*size:(i+1)*size], t.images[place], p.info.Channels)
		t.images[place] = nil
	}
	info := p.info
	info.Classes = 0
	set, err := newSetOf(info, images, p.labels)
	if err != nil {
		return nil, err
	}
	set.Files, set.contents, set.Sizing = p.files, p.contents, p.info.Sizing
	set.Place, set.LeftOut, set.Licence = p.info.Place, p.info.LeftOut, p.info.Licence
	if len(p.info.ClassNames) == 0 {
		return set, nil
	}
	return set.WithClassNames(p.info.ClassNames)
}
