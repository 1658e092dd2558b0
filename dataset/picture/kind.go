package picture

// Kind says in words what a file is by its first bytes, for errors about a file of the
// wrong kind: "a PNG picture", "a Parquet file"; it is empty where they say nothing. The
// first 512 bytes are enough.
func Kind(data []byte) string {
	switch format := Format(data); format {
	case "":
		return beginning(data)
	default:
		return "a " + format + " picture"
	}
}
