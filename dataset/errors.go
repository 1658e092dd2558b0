package dataset

import (
	"errors"

	"slipway/dataset/feed"
)

// What can be wrong with a set. Errors of this package wrap one of these and
// add the file, the place and the remedy.
var (
	ErrMagic       = errors.New("not an IDX file")
	ErrElementType = errors.New("unsupported element type")
	ErrRank        = errors.New("wrong number of dimensions")
	ErrTooLarge    = errors.New("the header declares more than is allowed")
	ErrTruncated   = errors.New("the data ends too early")
	ErrTrailing    = errors.New("there are bytes after the data")
	ErrGzip        = errors.New("damaged gzip data")
	ErrZip         = errors.New("damaged zip archive")
	ErrNumPy       = errors.New("no array as NumPy stores it")
	ErrTable       = errors.New("not a table of pixels")
	// ErrLayout is of shapes that do not say where the channels are.
	ErrLayout = errors.New("it is not clear which dimension is the channels")
	// ErrPixel is of numbers that are no pixels.
	ErrPixel = errors.New("a value is no pixel")

	ErrEmpty = errors.New("the set has no images")
	ErrSize  = feed.ErrSize
	ErrCount = errors.New("images and labels differ in number")
	ErrLabel = errors.New("label out of range")
	ErrIndex = errors.New("image index out of range")
	// ErrMultiLabel is of a set whose images have any number of labels where one each is asked for,
	// and of one whose images have one each where several may be.
	ErrMultiLabel = errors.New("the number of labels an image")
	ErrArgument   = feed.ErrArgument

	ErrUnknown   = errors.New("unknown data set")
	ErrAmbiguous = errors.New("there are two sets in it")
	ErrNoLabels  = errors.New("the labels file is missing")
	ErrChecksum  = errors.New("the checksum differs from the known one")
	ErrNotFound  = errors.New("the MNIST training set was not found")
	// ErrNotBrought is of a set that no command brings by itself.
	ErrNotBrought = errors.New("the data set is not on this machine")
)
