// Package torchfile reads the tensors out of files that PyTorch's torch.save wrote (.pt, .pth,
// .bin), and executes nothing.
//
// Such a file holds a pickle, which is a program for a small machine with a stack: most of its
// instructions put a value there or make a container of some, and one of them calls any
// function of Python that the file names. torch.load with weights_only=False calls it, whatever
// it is. The machine here (machine.go) knows a closed list of names (globals.go), each of which
// stands for a few lines of Go: the storages and the functions that rebuild a tensor of one, and
// the containers that a state dict is made of. Any other name is an error that says it, and the
// file is left alone.
//
// There are two forms:
//
//   - a ZIP archive, since PyTorch 1.6 (archive.go): the pickle is NAME/data.pkl, and each
//     storage is a record NAME/data/KEY, not compressed;
//   - the legacy form (legacy.go): five pickles after each other, then the storages.
//
// The result is flat: a tensor's name is the path of keys that leads to it, with dots between
// them, as in "state_dict.conv1.weight".
//
// A file may be hostile. What it makes this package hold is bounded by the file's own size:
// storages
// are parts of what was read, a tensor may not claim more than its storage has, copies of
// views together are no larger than the file, and the pickle's length and the number of its
// values are limited.
//
// The forms are those of torch/serialization.py and torch/_utils.py of PyTorch 2.15, and the
// instructions those of Python's pickletools.
package torchfile
