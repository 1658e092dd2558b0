package dataset

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// digits writes a table of n images of side² pixels, with a header or without.
func digits(n, side int, header bool) []byte {
	var table bytes.Buffer
	if header {
		table.WriteString("label")
		for i := range side * side {
			fmt.Fprintf(&table, ",pixel%d", i)
		}
		table.WriteString("\n")
	}
	source := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		fmt.Fprint(&table, i%10)
		for range side * side {
			fmt.Fprintf(&table, ",%d", source.IntN(256))
		}
		table.WriteString("\n")
	}
	return table.Bytes()
}

// Kaggle's digits: what is called train is labelled, what is called test is not.
func TestKaggleAsTrain(t *testing.T) {
	dir := t.TempDir()
	train := digits(20, 4, true)
	_, rest, _ := strings.Cut(string(train), ",")
	writeFiles(t, dir, map[string][]byte{
		"train.csv": train,
		"test.csv": []byte(rest[:strings.Index(rest, "\n")] +
			"\n1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16\n"),
	})
	var messages bytes.Buffer
	training, test := asTrain(t, dir, "train.csv", Options{Messages: &messages})
	if test != nil || training.Len() != 20 || training.Height != 4 || training.Width != 4 ||
		training.Channels != 1 || training.Classes != 10 {
		t.Errorf("%v, %v", training.Info(), test)
	}
	if !strings.Contains(messages.String(), "test.csv has no labels") {
		t.Errorf("messages %q", messages.String())
	}
	refused(t, dir, Options{}, ErrUnknown, "give "+filepath.Join(dir, "train.csv"))
	refused(t, filepath.Join(dir, "test.csv"), Options{}, errUnlabelled, "no column called label")
}

// The MNIST in CSV of many pages has no header and both parts labelled; packed is the same.
func TestTableWithoutHeaderAsTrain(t *testing.T) {
	dir := t.TempDir()
	train, test := digits(12, 3, false), digits(5, 3, false)
	writeFiles(t, dir, map[string][]byte{
		"mnist_train.csv": train, "mnist_test.csv": test, "packed_train.csv.gz": packIDX(t, train),
		"packed_test.csv.gz": packIDX(t, test),
		"headed.csv":         digits(12, 3, true),
	})
	training, beside := asTrain(t, dir, "mnist_train.csv", Options{})
	if training.Len() != 12 || beside == nil || beside.Len() != 5 || beside.Name != "mnist_test.csv" {
		t.Fatalf("%v, %v", training.Info(), beside)
	}
	// One of the two may be packed alone.
	writeFiles(t, dir, map[string][]byte{"half_train.csv.gz": packIDX(t, train),
		"half_test.csv": test})
	if _, half := asTrain(t, dir, "half_train.csv.gz", Options{}); half == nil ||
		half.Name != "half_test.csv" {
		t.Errorf("beside a packed file: %v", half)
	}
	packed, packedBeside := asTrain(t, dir, "packed_train.csv.gz", Options{})
	if packed.Digest() != training.Digest() || packedBeside == nil ||
		packedBeside.Digest() != beside.Digest() {
		t.Error("packed, it is another set")
	}
	headed, none := asTrain(t, dir, "headed.csv", Options{})
	if headed.Digest() != training.Digest() || none != nil {
		t.Error("with a header, it is another set")
	}
}

func TestTablesAsTheyAreWritten(t *testing.T) {
	want := []uint8{1, 2, 3, 255}
	for name, text := range map[string]string{
		"plain":              "7,1,2,3,255\n",
		"no line's end":      "7,1,2,3,255",
		"Windows":            "label,a,b,c,d\r\n7,1,2,3,255\r\n\r\n",
		"quotes":             "\"label\",\"a\",\"b\",\"c\",\"d\"\n\"7\",\"1\",\"2\",\"3\",\"255\"\n",
		"spaces":             " 7, 1, 2, 3, 255\n",
		"points":             "7.0,1.0,2.0,3.0,255.0\n",
		"class last":         "a,b,c,d,class\n1,2,3,255,7\n",
		"Label in between":   "a,Label,b,c,d\n1,7,2,3,255\n",
		"order mark":         "\ufefflabel,a,b,c,d\n7,1,2,3,255\n",
		"order mark, header": "\ufeff7,1,2,3,255\n",
		"blank lines":        "\n7,1,2,3,255\n\n",
	} {
		path := filepath.Join(t.TempDir(), "t.csv")
		writeFiles(t, filepath.Dir(path), map[string][]byte{"t.csv": []byte(text)})
		set, err := Open(t.Context(), path, Options{})
		if err != nil || !bytes.Equal(set.Images, want) || !slices.Equal(set.Labels, []int32{7}) ||
			set.Height != 2 {
			t.Errorf("%s: %v, %v", name, set, err)
		}
	}
}

// A table is known by its first bytes, whose last number may be cut.
func TestBeginningsOfTables(t *testing.T) {
	for start, want := range map[string]bool{
		"7,1,2,3": true, "7,1,2,": true, "7,1,2,-": true, "label,a,b\n7,1,2,": true,
		"7,1": false, "7,": false, "x": false, "": false, "a,b,c": false, "7,x,2,3": false,
		"a,b,c\nd,e,f\n7,1,2,3": false,
	} {
		if got := isTable([]byte(start)); got != want {
			t.Errorf("%q is a table: %t", start, got)
		}
	}
}

func TestTablesRefused(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct {
		text string
		want error
		says string
	}{
		"unlabelled": {"a,b,c,d\n1,2,3,4\n", errUnlabelled, `"a"`},
		"bare":       {"1,2,3,4\n", errUnlabelled, "4 columns are 2×2 pixels"},
		"no square":  {"1,2,3,4,5,6,7\n", ErrTable, "6 columns"},
		"256": {"label,a,b,c,d\n1,0,0,256,0\n", ErrPixel,
			`line 2: a value is no pixel: "256" in column 4`},
		"negative": {"1,0,0,0,0\n1,0,0,0,-1\n", ErrPixel,
			`line 2: a value is no pixel: "-1" in column 5`},
		"shares":      {"1,0,0.5,0,0\n", ErrPixel, `"0.5" in column 3`},
		"empty cell":  {"1,0,0,0,0\n1,,0,0,0\n", ErrPixel, `"" in column 2`},
		"word":        {"1,0,0,0,0\n1,0,x,0,0\n", ErrPixel, `"x"`},
		"label":       {"1,0,0,0,0\nx,0,0,0,0\n", ErrLabel, `line 2: label out of range: label "x"`},
		"label -1":    {"1,0,0,0,0\n-1,0,0,0,0\n", ErrLabel, `"-1"`},
		"no label":    {"1,0,0,0,0\n,0,0,0,0\n", ErrLabel, `""`},
		"label 2³¹":   {"1,0,0,0,0\n2147483648,0,0,0,0\n", ErrLabel, `"2147483648"`},
		"label 65536": {"65536,0,0,0,0\n", ErrLabel, "65536"},
		"short": {"1,0,0,0,0\n1,0,0\n", ErrTable,
			"line 2: not a table of pixels: 3 columns, the first line has 5"},
		"long":       {"1,0,0,0,0\n1,0,0,0,0,0\n", ErrTable, "more than 5"},
		"two labels": {"label,class,a,b,c\n1,2,3,4,5\n", ErrTable, "two columns"},
		"header":     {"label,a,b,c,d\n", ErrTable, "label,a,b,c,d"},
		"limit":      {"1,0,0,0,0\n" + strings.Repeat("1,0,0,0,0\n", 30), ErrTooLarge, "100 bytes"},
	} {
		writeFiles(t, dir, map[string][]byte{name + ".csv": []byte(test.text)})
		refused(t, filepath.Join(dir, name+".csv"), Options{Limit: 100}, test.want, test.says)
	}
	endless := append([]byte("1,0,0,0,0\n"), bytes.Repeat([]byte("0,"), maxTableLine)...)
	cut := packIDX(t, digits(2000, 4, false))
	writeFiles(t, dir, map[string][]byte{"endless.csv.gz": packIDX(t, endless),
		"cut.csv.gz": cut[:len(cut)/2]})
	refused(t, filepath.Join(dir, "endless.csv.gz"), Options{}, ErrTooLarge, "line 2 has more than")
	refused(t, filepath.Join(dir, "cut.csv.gz"), Options{}, ErrTruncated, "line")
}

// As many digits as Kaggle's training file has are read in seconds.
func TestKaggleInSeconds(t *testing.T) {
	if testing.Short() {
		t.Skip("42,000 digits take a second to write")
	}
	path := filepath.Join(t.TempDir(), "train.csv")
	table := digits(4200, 28, true)
	header := bytes.IndexByte(table, '\n') + 1
	if err := os.WriteFile(path, append(table[:header:header], bytes.Repeat(table[header:], 10)...),
		0o666); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	set, err := Open(t.Context(), path, Options{})
	if err != nil || set.Len() != 42_000 || set.Height != 28 {
		t.Fatalf("%v, %v", set, err)
	}
	t.Logf("42,000 digits in %v", time.Since(start))
}

func FuzzOpenTable(f *testing.F) {
	f.Add([]byte("label,a,b,c,d\n1,0,0,25,0\n"))
	f.Add([]byte("\"1\", 0.0,0,25,0\r\n2,1,2,3,4"))
	f.Add(packIDX(f, []byte("a,b,c,d,class\n1,2,3,4,5")))
	path := filepath.Join(f.TempDir(), "set.csv")
	f.Fuzz(func(t *testing.T, data []byte) {
		isTable(data)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		set, err := openTable(t.Context(), path, Options{Limit: 1 << 16})
		if err == nil && (set.Len() == 0 || len(set.Images) != set.Len()*set.ImageSize() ||
			len(set.Images) > 1<<16) {
			t.Fatalf("%d images in %d bytes", set.Len(), len(set.Images))
		}
	})
}
