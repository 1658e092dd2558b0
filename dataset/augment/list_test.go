package augment

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// everything has each operation with settings that are not the defaults, where it has any.
func everything() List {
	return List{
		RandomResizedCrop{Range{0.25, 1}, Range{0.5, 2}, "bicubic"},
		Flip{0.25}, VerticalFlip{1}, Shift{2}, Crop{3, Reflect}, Rotation{7.5},
		Scale{Range{0.8, 1.2}}, Affine{10, 0.1, Range{0.9, 1.1}, 5},
		ColorJitter{0.4, 0.3, 0.2, 0.1}, Grayscale{0.2},
		Cutout{4}, RandomErasing{0.25, Range{0, 0.2}, Range{0.5, 2}},
		RandAugment{3, 5, 11}, TrivialAugment{21},
	}
}

func TestParseList(t *testing.T) {
	for _, test := range []struct {
		text string
		want List
		back string // String's form, if not the text
	}{
		{"", nil, ""},
		{"flip", List{Flip{0.5}}, ""},
		{"flip=0.5, shift=2", List{Flip{0.5}, Shift{2}}, "flip,shift=2"},
		{"rotation=10,shift=2", List{Rotation{10}, Shift{2}}, ""},
		{"shift=2,rotation=10", List{Rotation{10}, Shift{2}}, "rotation=10,shift=2"},
		{"shift=2,rotation=10,flip", List{Shift{2}, Rotation{10}, Flip{0.5}}, ""},
		{"shift=0,flip,rotation=0", List{Flip{0.5}}, "flip"},
		{"crop", List{Crop{4, Constant}}, ""},
		{"crop=8:reflect", List{Crop{8, Reflect}}, ""},
		{"crop=mode=edge", List{Crop{4, Edge}}, ""},
		{"crop=mode=edge:padding=2", List{Crop{2, Edge}}, "crop=2:edge"},
		{"random-resized-crop", List{RandomResizedCrop{Range{0.08, 1}, Range{0.75, 4. / 3},
			"bilinear"}}, ""},
		{"random-resized-crop=0.2..1:filter=bicubic",
			List{RandomResizedCrop{Range{0.2, 1}, Range{0.75, 4. / 3}, "bicubic"}}, ""},
		{"color-jitter=0.4:0.4:0.4:0.1", List{ColorJitter{0.4, 0.4, 0.4, 0.1}}, ""},
		{"color-jitter=hue=0.1", List{ColorJitter{0, 0, 0, 0.1}}, ""},
		{"color-jitter=0:0.4", List{ColorJitter{0, 0.4, 0, 0}}, "color-jitter=contrast=0.4"},
		{"rand-augment,trivial-augment", List{RandAugment{2, 9, 31}, TrivialAugment{31}}, ""},
		{"rand-augment=magnitude=5,cutout", List{RandAugment{2, 5, 31}, Cutout{16}}, ""},
	} {
		list, err := ParseList(test.text)
		if err != nil || !slices.Equal(list, test.want) {
			t.Errorf("%q is %#v, error %v; want %#v", test.text, list, err, test.want)
			continue
		}
		back := test.back
		if back == "" && len(test.want) > 0 {
			back = test.text
		}
		if list.String() != back {
			t.Errorf("%q is written %q, want %q", test.text, list, back)
		}
	}
}

func TestParseListRejects(t *testing.T) {
	for text, want := range map[string]string{
		"flop":                             `the operation "flop" is unknown; there are flip, vertical-flip`,
		"Flip":                             `did you mean "flip"`,
		",":                                "an operation is missing",
		"flip,":                            "an operation is missing",
		"flip,,shift=2":                    "an operation is missing",
		"flip=2":                           "the probability is not above 0 and at most 1",
		"flip=-0.1":                        "the probability is not above 0",
		"flip=0":                           "changes nothing; leave the operation out, or the setting, which is 0.5",
		"flip=NaN":                         "the probability is not above 0",
		"flip=":                            `probability is a number; "" is none`,
		"flip=0.5:0.5":                     `"0.5" is one setting too many; there is probability`,
		"flip=odds=0.5":                    `there is no setting "odds", but probability`,
		"flip=probability=1:probability=1": "probability is given twice",
		"crop=2:padding=2":                 "padding is given twice",
		"crop=mode=edge:2":                 `the value "2" follows a named setting; name it`,
		"crop=2:mirror":                    `the mode "mirror" is unknown; there are constant, edge, reflect and symmetric`,
		"crop=-1":                          "the padding is negative",
		"shift=1.5":                        `pixels is a whole number; "1.5" is none that fits`,
		"shift=99999999999999999999":       "none that fits",
		"shift=-1":                         "a shift by up to -1 pixels is negative",
		"rotation=181":                     "outside 0…180",
		"rotation=NaN":                     "outside 0…180",
		"scale=0.5":                        `factor is a range such as 0.9..1.1; "0.5" is none`,
		"scale=1.1..0.9":                   "the smaller number first",
		"scale=0..1":                       "is not a range of 0.01..100",
		"scale=NaN..NaN":                   "is not a range",
		"affine":                           "it changes nothing; say by how much",
		"affine=10:2":                      "a translation by up to 2 of the size is outside 0…1",
		"affine=10:shear=90":               "a shear by up to 90 degrees is outside 0…80",
		"affine=-1":                        "a rotation by up to -1 degrees is outside",
		"random-resized-crop=0..1":         "the scale 0..1 is not a range above 0",
		"random-resized-crop=0.5..2":       "the scale 0.5..2 is not a range above 0",
		"random-resized-crop=ratio=0..1":   "the ratio 0..1 is not a range of 0.001..1000",
		"random-resized-crop=filter=box":   `the filter "box" is unknown`,
		"flip,random-resized-crop":         "so put it first",
		"color-jitter":                     "it changes nothing; say by how much",
		"color-jitter=-1":                  "brightness -1 is outside 0…100",
		"color-jitter=hue=0.6":             "a hue of up to 0.6 turns is outside 0…0.5",
		"cutout=-1":                        "a square of -1 pixels",
		"random-erasing=0.5:0.3..1.2":      "is not a range of 0..1",
		"rand-augment=-1":                  "-1 operations; it is 1 to 100",
		"rand-augment=2:31":                "a magnitude of 31; it is 1 to 30",
		"rand-augment=bins=5000":           "5000 bins of magnitudes; it is 2 to 1000",
		"trivial-augment=1":                "1 bins of magnitudes",
	} {
		list, err := ParseList(text)
		if err == nil || !strings.Contains(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), "augmentation: ") {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
		if list != nil {
			t.Errorf("%q gives %v beside its error", text, list)
		}
	}
}

func TestCheckRejects(t *testing.T) {
	for _, test := range []struct {
		list  List
		shape Shape
		want  string
	}{
		{List{Flip{}}, Shape{0, 4, 4}, "images of 0×4×4 (channels, height, width); each is 1 to 65536"},
		{List{Flip{}, nil}, Shape{1, 4, 4}, "operation 2 of the list is nil"},
		{List{Shift{4}}, Shape{1, 4, 9},
			"a shift by up to 4 pixels leaves nothing of the 4×9 images; 3 is the most"},
		{List{Crop{Padding: 4}}, Shape{1, 9, 4}, "3 is the most"},
		{List{ColorJitter{Hue: 0.1}}, Shape{1, 4, 4},
			"grey images have neither saturation nor hue; leave these out"},
		{List{ColorJitter{Saturation: 0.1, Brightness: 1}}, Shape{1, 4, 4},
			"grey images have neither"},
		{List{ColorJitter{Brightness: 0.1}}, Shape{4, 4, 4}, "these have 4 channels; leave it out"},
		{List{Grayscale{}}, Shape{1, 4, 4}, "it is for coloured images, and these have 1 channels"},
		{List{RandomResizedCrop{}}, Shape{2, 4, 4}, "these have 2 channels"},
		{List{RandAugment{}}, Shape{2, 4, 4}, "these have 2 channels"},
		{List{TrivialAugment{}}, Shape{2, 4, 4}, "these have 2 channels"},
		{List{Cutout{9}}, Shape{1, 4, 4}, "a square of 9 pixels; for images of 4×4 it is 1 to 8"},
	} {
		s := test.shape
		err := test.list.Check(s.Channels, s.Height, s.Width)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v for %v: error %v, want %q", test.list, s, err, test.want)
		}
		if _, err := New(test.list, 1, s.Channels, s.Height, s.Width); err == nil {
			t.Errorf("New takes %v for %v", test.list, s)
		}
	}
}

func TestListsComeBackFromTextJSONAndYAML(t *testing.T) {
	lists := []List{nil, everything()}
	for _, kind := range kinds() {
		if kind != (Affine{}) && kind != (ColorJitter{}) && kind != (Shift{}) &&
			kind != (Rotation{}) {
			lists = append(lists, List{kind})
		}
	}
	for _, list := range lists {
		want := list.normal()
		if back, err := ParseList(list.String()); err != nil || !slices.Equal(back, want) {
			t.Errorf("%v comes back from its text as %v, error %v", list, back, err)
		}
		data, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		var back List
		if err := json.Unmarshal(data, &back); err != nil || !slices.Equal(back, want) {
			t.Errorf("%v comes back from %s as %v, error %v", list, data, back, err)
		}
		type file struct{ Augmentation List }
		if data, err = yaml.Marshal(file{list}); err != nil {
			t.Fatal(err)
		}
		var read file
		if err := yaml.Unmarshal(data, &read); err != nil ||
			!slices.Equal(read.Augmentation, want) {
			t.Errorf("%v comes back from %s as %v, error %v", list, data, read.Augmentation, err)
		}
	}
}

func TestShortFormsInJSONAndYAML(t *testing.T) {
	want := List{Flip{0.5}, Shift{2}, RandomResizedCrop{Range{0.2, 1}, Range{0.75, 4. / 3},
		"bilinear"}, Crop{4, Edge}}
	for _, text := range []string{
		`["flip", "shift=2", "random-resized-crop=0.2..1", "crop=mode=edge"]`,
		`[{"flip": {}}, {"shift": 2}, {"random-resized-crop": [0.2, 1]}, {"crop": {"mode": "edge"}}]`,
		`[{"flip": null}, {"shift": {"pixels": 2}}, {"random-resized-crop": {"scale": [0.2, 1]}}, {"crop": {"mode": "edge"}}]`,
	} {
		var fromJSON, fromYAML List
		if err := json.Unmarshal([]byte(text), &fromJSON); err != nil ||
			!slices.Equal(fromJSON, want) {
			t.Errorf("%s is %v, error %v", text, fromJSON, err)
		}
		if err := yaml.Unmarshal([]byte(text), &fromYAML); err != nil ||
			!slices.Equal(fromYAML, want) {
			t.Errorf("%s is in YAML %v, error %v", text, fromYAML, err)
		}
	}
	var word List
	if err := yaml.Unmarshal([]byte("flip,shift=2"), &word); err != nil ||
		!slices.Equal(word, want[:2]) {
		t.Errorf("a word is %v, error %v", word, err)
	}
	if err := json.Unmarshal([]byte(`"flip,shift=2"`), &word); err != nil ||
		!slices.Equal(word, want[:2]) {
		t.Errorf("a word is %v, error %v", word, err)
	}
}

func TestJSONAndYAMLReject(t *testing.T) {
	for text, want := range map[string]string{
		`{"flip": {}}`:                  "it is a list of operations",
		`3`:                             "",
		`[3]`:                           "3 is neither a word nor an object",
		`[[]]`:                          "neither a word nor an object",
		`[{}]`:                          "it has no name",
		`["flop"]`:                      `"flop" is unknown`,
		`[{"flip": {}, "shift": 2}]`:    "is a second name",
		`[{"flip": {"x": 1}}]`:          `there is no setting "x", but probability`,
		`[{"flip": "often"}]`:           `probability is a number, as in 0.5; "often" is not`,
		`[{"flip": 0}]`:                 "changes nothing",
		`[{"shift": 2.5}]`:              "pixels is a whole number, as in 2; 2.5 is not",
		`[{"shift": {"pixels": null}}]`: "null is not",
		`[{"scale": [1]}]`:              "factor is two numbers, as in [0.9, 1.1]; [1] is not",
		`[{"crop": {"mode": 1}}]`:       `mode is a word, as in "constant"; 1 is not`,
	} {
		var list List
		if err := json.Unmarshal([]byte(text), &list); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
		err := yaml.Unmarshal([]byte("\n"+text), &list)
		if err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "line 2: ") && text != "3" {
			t.Errorf("%s in YAML: error %v, want line 2 and %q", text, err, want)
		}
		if list != nil {
			t.Errorf("%s gives %v beside its error", text, list)
		}
	}
	var list List
	if err := json.Unmarshal([]byte(`[{"flip": {"probability": 0.5, "probability": 1}}]`),
		&list); err == nil ||
		!strings.Contains(err.Error(), "probability is given twice") {
		t.Errorf("a setting given twice: error %v", err)
	}
	if _, err := json.Marshal(List{nil}); err == nil {
		t.Error("a list of nil is written")
	}
}

func TestRecord(t *testing.T) {
	type config struct {
		Augmentation Record `json:"augmentation,omitzero"`
	}
	for _, test := range []struct {
		list List
		want string
	}{
		{nil, `{}`},
		{List{Shift{0}}, `{}`},
		{List{Shift{2}}, `{"augmentation":{"shift":2}}`},
		{List{Rotation{7.5}}, `{"augmentation":{"rotation":7.5}}`},
		{List{Rotation{10}, Shift{2}}, `{"augmentation":{"shift":2,"rotation":10}}`},
		{List{Shift{2}, Rotation{10}}, `{"augmentation":{"shift":2,"rotation":10}}`},
		{List{Flip{}, Shift{2}},
			`{"augmentation":[{"flip":{"probability":0.5}},{"shift":{"pixels":2}}]}`},
	} {
		data, err := json.Marshal(config{Record(test.list)})
		if err != nil || string(data) != test.want {
			t.Errorf("%v is recorded as %s, error %v; want %s", test.list, data, err, test.want)
		}
		var back config
		if err := json.Unmarshal(data, &back); err != nil ||
			!slices.Equal(List(back.Augmentation), test.list.normal()) {
			t.Errorf("%s is read as %v, error %v", data, back.Augmentation, err)
		}
	}
	for _, text := range []string{`{"augmentation":"flip"}`, `{"augmentation":["flip"]}`} {
		var read config
		if err := json.Unmarshal([]byte(text), &read); err != nil ||
			read.Augmentation.String() != "flip" {
			t.Errorf("%s is read as %v, error %v", text, read.Augmentation, err)
		}
	}
	var read config
	err := json.Unmarshal([]byte(`{"augmentation":{"shift":2,"flip":true}}`), &read)
	if err == nil || !strings.Contains(err.Error(), "other operations stand in a list") {
		t.Errorf("error %v", err)
	}
}

func TestNeedsOriginal(t *testing.T) {
	if !(List{Shift{}, RandomResizedCrop{}}).NeedsOriginal() {
		t.Error("a shift by nothing is nothing before a random resized crop")
	}
	if (List{}).NeedsOriginal() || (List{Flip{}}).NeedsOriginal() || !everything().NeedsOriginal() {
		t.Error("lists that begin with random-resized-crop need the original, and no others")
	}
}

func TestUsageHasEveryOperation(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(Usage()), "\n")
	if len(lines) != len(Names()) {
		t.Fatalf("%d lines for %d operations", len(lines), len(Names()))
	}
	for i, name := range Names() {
		if !strings.HasPrefix(lines[i], name+"=") {
			t.Errorf("line %q for %s", lines[i], name)
		}
	}
}

// What can be read is written, and comes back.
func FuzzUnmarshalJSON(f *testing.F) {
	for _, list := range []List{nil, everything()} {
		data, err := json.Marshal(list)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"shift":2,"rotation":10}`))
	f.Add([]byte(`["flip", {"shift": 2}, {"random-resized-crop": [0.2, 1]}, {"crop": null}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var record, back Record
		if err := json.Unmarshal(data, &record); err != nil {
			return
		}
		written, err := json.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &back); err != nil || !slices.Equal(back, record) {
			t.Errorf("%s is written %s, which comes back as %v, error %v", data, written, back, err)
		}
	})
}

func FuzzParseList(f *testing.F) {
	f.Add(everything().String())
	f.Add("shift=2,rotation=10")
	f.Add("crop=mode=edge:padding=2,flip=")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseList(text)
		if err != nil {
			return
		}
		back, err := ParseList(list.String())
		if err != nil || !slices.Equal(back, list) {
			t.Errorf("%q is %q, which comes back as %q, error %v", text, list, back, err)
		}
	})
}
