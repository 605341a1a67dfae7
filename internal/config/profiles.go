package config

import (
	"fmt"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"sluice/internal/upload"
)

// row is a profile, and where the config file speaks of it.
type row struct {
	upload.Profile
	place string // begins every fault: "file:line: ", or "" for a built-in row as it is
}

// fault makes an error that names the row.
func (r row) fault(format string, args ...any) error {
	return fmt.Errorf("%sprofile %q: "+format, append([]any{r.place, r.Name}, args...)...)
}

// columns are the keys of a row in the file.
func columns() []string {
	return []string{"name", "path", "lane", "maxBytes", "maxPixels", "accept", "lifetime", "retention", "keepParts", "read", "perOwner", "dir",
		"flat", "variants", "rejectUnreadable", "keepRejected", "digest", "disabled"}
}

// profileTable is the built-in table with the file's rows laid over it: a known name changes the columns that it gives, or
// takes the row out; another name adds a row. What a row holds is checked later.
func profileTable(f *file) ([]row, []error) {
	var table []row
	for _, p := range upload.DefaultProfiles() {
		table = append(table, row{Profile: p})
	}

	var faults faults
	seen := map[string]bool{}
	for _, node := range f.rows {
		r, disabled := f.row(node, table, &faults)
		at := slices.IndexFunc(table, func(known row) bool { return known.Name == r.Name })
		switch {
		case r.Name == "":
			faults.add(fmt.Errorf("%s: a profile without a name", f.at(node)))
		case seen[r.Name]:
			faults.add(r.fault("is given twice"))
		case disabled && at < 0:
			faults.add(r.fault("cannot be disabled: it is not built in"))
		case disabled:
			table = slices.Delete(table, at, at+1)
		case at >= 0:
			table[at] = r
		default:
			table = append(table, r)
		}
		seen[r.Name] = true
	}
	return table, faults
}

// row reads one row of the file over a copy of the row of table that has its name.
func (f *file) row(node *yaml.Node, table []row, faults *faults) (r row, disabled bool) {
	pairs := f.pairs(node, faults)
	for _, p := range pairs {
		if p.key == "name" {
			r.Name = p.value.Value
		}
	}
	for _, known := range table {
		if known.Name == r.Name {
			r.Profile = known.Profile
		}
	}
	r.place = f.at(node) + ": "
	for _, p := range pairs {
		if err := setColumn(&r.Profile, &disabled, p); err != nil {
			faults.add(fmt.Errorf("%s: %w", p.place, err))
		}
	}
	return r, disabled
}

func setColumn(p *upload.Profile, disabled *bool, column pair) (err error) {
	switch column.key {
	case "name":
		p.Name, err = text(column.value)
	case "path":
		p.Path, err = text(column.value)
	case "lane":
		p.Lane, err = cell(column.value, func(s string) (upload.Lane, error) { return upload.Lane(s), nil })
	case "maxBytes":
		p.MaxBytes, err = cell(column.value, parseSize)
	case "maxPixels":
		p.MaxPixels, err = cell(column.value, parseNumber)
	case "accept":
		p.Accept, err = texts(column.value)
	case "lifetime":
		p.Lifetime, err = cell(column.value, parseDuration)
	case "retention":
		p.Retention, err = cell(column.value, parseDuration)
	case "keepParts":
		p.KeepParts, err = cell(column.value, parseBool)
	case "read":
		p.Read, err = cell(column.value, func(s string) (upload.Readers, error) { return upload.Readers(s), nil })
	case "perOwner":
		p.PerOwner, err = cell(column.value, parseCount)
	case "rejectUnreadable":
		p.RejectUnreadable, err = cell(column.value, parseBool)
	case "keepRejected":
		p.KeepRejected, err = cell(column.value, parseBool)
	case "digest":
		p.Digest, err = cell(column.value, parseDigest)
	case "dir":
		p.Dir, err = text(column.value)
	case "flat":
		p.Flat, err = cell(column.value, parseBool)
	case "variants":
		p.Variants, err = edges(column.value)
	case "disabled":
		*disabled, err = cell(column.value, parseBool)
	default:
		err = fmt.Errorf("unknown key%s", hint(column.key, columns()))
	}
	return err
}

// cell parses the single value of a column.
func cell[T any](node *yaml.Node, parse func(string) (T, error)) (T, error) {
	value, err := text(node)
	if err != nil {
		var none T
		return none, err
	}
	return parse(value)
}

// parseDigest takes the name of an algorithm, which is checked with the row, or "none".
func parseDigest(s string) (string, error) {
	if s == "none" {
		return "", nil
	}
	return s, nil
}

func edges(node *yaml.Node) ([]int, error) {
	items, err := texts(node)
	if err != nil {
		return nil, err
	}
	list := make([]int, len(items))
	for i, item := range items {
		if list[i], err = strconv.Atoi(item); err != nil {
			return nil, fmt.Errorf("%q is not a number of pixels", item)
		}
	}
	return list, nil
}
