package dataset

// published is a set that the world knows, with what its publishers say of it.
type published struct {
	title, authors, licence string
	names                   []string // of the classes; their numbers if nil
	classes                 int
	training, test          string // digests; empty where there is no such part
	testWord                string // Open's for the test set
}

// publishedSets are the sets whose authors and licence are told. They are known by
// their content, so that no other set is ever given them.
func publishedSets() []published {
	return []published{
		{
			title: "MNIST", authors: "Yann LeCun, Corinna Cortes, Christopher Burges",
			licence: "CC BY-SA 3.0", classes: 10,
			training: "70d7d1f071318a99d1a88425cea5d1d0c22f1c620bb22d498622b5f0e0b976a0",
			test:     "351c6b2527fa2cbbcafc6781b1df7972f1f3f358f316215c6d416755b89d6b7c",
			testWord: string(Test),
		},
		{
			title: "Fashion-MNIST", authors: "Han Xiao, Kashif Rasul, Roland Vollgraf (Zalando SE)",
			licence: "MIT", classes: 10,
			names: []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
				"Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
			training: "abba35b6fffb2630a3493a5c28d85438c7131fe5ebfc7e9b4ec15a287110f385",
			test:     "87cfa2f8dbdbed8e5155ac4ae9eaf9593a1398036dede6e21ed3393c0c0c9bed", testWord: Fashion,
		},
		{
			title: "Optical Recognition of Handwritten Digits", authors: "Ethem Alpaydin, Cenk Kaynak (UCI)",
			licence: "CC BY 4.0",
			classes: 10, test: "980422fc30110f9521adedd08f9ec255a396bcbdf8a061b529c26055489b9ffc",
			testWord: Optdigits,
		},
	}
}

// InfoOf is what is known of a set of that name by its digest alone, which may be empty.
func InfoOf(name, digest string) Info {
	info := Info{Name: name, SHA256: digest}
	if known, ok := publishedAs(digest); ok {
		info.Title, info.Authors, info.Licence = known.title, known.authors, known.licence
		info.Classes, info.ClassNames = known.classes, known.classNames()
	}
	return info
}

func publishedAs(digest string) (published, bool) {
	for _, set := range publishedSets() {
		if digest != "" && (digest == set.training || digest == set.test) {
			return set, true
		}
	}
	return published{}, false
}

// classNames names the classes; digits are called by their numbers.
func (p published) classNames() []string { return LabelsOf(p.names, p.classes) }

// TestSetOf returns Open's word for the test set that was published with the training
// set of that digest; ok is false where there is none.
func TestSetOf(digest string) (word string, ok bool) {
	set, ok := publishedAs(digest)
	if !ok || digest != set.training {
		return "", false
	}
	return set.testWord, true
}
