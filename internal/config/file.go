package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// file is a config file taken apart; what its keys and values mean is not looked at here.
type file struct {
	name     string
	settings map[string]setting // by key
	order    []string           // its keys, in order
	rows     []*yaml.Node       // of the table of profiles, each a mapping

	endpoints []*yaml.Node // each a mapping
}

// setting is one key with its value.
type setting struct {
	place string // file, line and key
	value string // as it is written; the items of a list joined by commas, as on the command line
	list  bool
}

// readFile reads the config file of that name, "" for none. The file returned holds what is right, and is never nil.
func readFile(name string) (*file, []error) {
	if name == "" {
		return &file{}, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return &file{}, []error{fmt.Errorf("config file: %w", err)}
	}
	return parseFile(name, data)
}

func parseFile(name string, data []byte) (*file, []error) {
	f := &file{name: name, settings: map[string]setting{}}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF): // empty, or nothing but comments
		return f, nil
	case err != nil:
		return f, []error{fmt.Errorf("%s: %w", name, err)}
	}

	var faults faults
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		faults.add(fmt.Errorf("%s: holds more than one YAML document", name))
	}
	for _, pair := range f.pairs(document.Content[0], &faults) {
		f.take(pair, &faults)
	}
	return f, faults
}

// take puts one key of the top level where it belongs.
func (f *file) take(p pair, faults *faults) {
	switch p.key {
	case "profiles":
		f.rows = nodesOf(p, faults)
		return
	case "endpoints":
		f.endpoints = nodesOf(p, faults)
		return
	}
	items, err := texts(p.value)
	if err != nil {
		faults.add(fmt.Errorf("%s: %w", p.place, err))
		return
	}
	f.order = append(f.order, p.key)
	f.settings[p.key] = setting{place: p.place, value: strings.Join(items, ","), list: p.value.Kind == yaml.SequenceNode}
}

// nodesOf are the items of a list of mappings.
func nodesOf(p pair, faults *faults) (nodes []*yaml.Node) {
	if p.value.Kind != yaml.SequenceNode {
		faults.add(fmt.Errorf("%s: must be a list of rows", p.place))
		return nil
	}
	for _, node := range p.value.Content {
		nodes = append(nodes, deref(node))
	}
	return nodes
}

// pair is a key of a mapping with its value.
type pair struct {
	key   string
	place string // file, line and key
	value *yaml.Node
}

// pairs lists the keys of a mapping. The library does not mind a key that comes twice when it decodes to nodes; we do.
func (f *file) pairs(node *yaml.Node, faults *faults) []pair {
	if node.Kind != yaml.MappingNode {
		if node.Tag != "!!null" { // an empty document is an empty mapping
			faults.add(fmt.Errorf("%s: must be keys with values, such as \"listen: :8080\"", f.at(node)))
		}
		return nil
	}
	var list []pair
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		p := pair{key: key.Value, place: f.at(key) + ": " + key.Value, value: deref(node.Content[i+1])}
		switch {
		case key.Kind != yaml.ScalarNode || key.Value == "":
			faults.add(fmt.Errorf("%s: the key must be a word", f.at(key)))
		case seen[p.key]:
			faults.add(fmt.Errorf("%s: is given twice", p.place))
		default:
			list = append(list, p)
		}
		seen[p.key] = true
	}
	return list
}

// at is the place of a node.
func (f *file) at(node *yaml.Node) string { return fmt.Sprintf("%s:%d", f.name, node.Line) }

// deref follows an alias (*name) to its anchor.
func deref(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// text is the value of a node that must be a single one.
func text(node *yaml.Node) (string, error) {
	switch {
	case node.Kind != yaml.ScalarNode:
		return "", errors.New("takes one value")
	case node.ShortTag() == "!!null":
		return "", errors.New("has no value")
	}
	return node.Value, nil
}

// texts is the values of a list; a single value is a list of one.
func texts(node *yaml.Node) ([]string, error) {
	if node.Kind != yaml.SequenceNode {
		one, err := text(node)
		return []string{one}, err
	}
	items := make([]string, 0, len(node.Content))
	for _, item := range node.Content {
		value, err := text(deref(item))
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", len(items)+1, err)
		}
		items = append(items, value)
	}
	return items, nil
}
