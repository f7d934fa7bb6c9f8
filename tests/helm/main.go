// Renders the chart as Helm does, for the test that compares it with what contour-deploy makes.
//
// A request on standard input, the objects on standard output, both JSON. It is Helm's own reading
// of the chart, of values and of --set, and its own engine; nothing is installed.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"sort"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
	"helm.sh/helm/v3/pkg/strvals"
	"sigs.k8s.io/yaml"
)

type request struct {
	Chart     string   // the directory
	Values    []string // files, as -f takes them
	Set       []string // as --set takes them
	SetString []string // as --set-string takes them
	Name      string
	Namespace string
}

type object struct {
	Source string          `json:"source"` // the template, from the chart's root
	Object json.RawMessage `json:"object"`
}

func main() {
	objects, err := render()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(objects); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render() ([]object, error) {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return nil, err
	}
	chart, err := loader.Load(asked.Chart)
	if err != nil {
		return nil, err
	}
	given, err := values(asked)
	if err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: asked.Name, Namespace: asked.Namespace, IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, given, options, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	return split(files)
}

func values(asked request) (map[string]interface{}, error) {
	given := map[string]interface{}{}
	for _, file := range asked.Values {
		more, err := chartutil.ReadValuesFile(file)
		if err != nil {
			return nil, err
		}
		given = chartutil.MergeTables(more, given)
	}
	for _, text := range asked.Set {
		if err := strvals.ParseInto(text, given); err != nil {
			return nil, err
		}
	}
	for _, text := range asked.SetString {
		if err := strvals.ParseIntoString(text, given); err != nil {
			return nil, err
		}
	}
	return given, nil
}

func split(files map[string]string) ([]object, error) {
	objects := []object{}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if base := path.Base(name); base[0] == '_' || path.Ext(base) != ".yaml" {
			continue
		}
		for _, text := range releaseutil.SplitManifests(files[name]) {
			data, err := yaml.YAMLToJSONStrict([]byte(text))
			if err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", name, err, text)
			}
			if string(data) != "null" {
				objects = append(objects, object{Source: name, Object: data})
			}
		}
	}
	return objects, nil
}
