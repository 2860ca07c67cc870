// podsecurity FILE...: would a namespace that enforces the restricted Pod Security Standard take these manifests?
//
// It asks the admission plugin's own checks of every pod, and of every pod template, that stands in the files. Each
// violation is a line; exit code 1 says that there was one, 2 that a file could not be read. A file without any pod is
// told of as well: a check of nothing must not look like a success.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// The parts of Deployment, StatefulSet, Job and Pod that matter: a template, or the pod itself.
type manifest struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Template *corev1.PodTemplateSpec `json:"template"`
	} `json:"spec"`
}

type pod struct {
	name     string
	metadata *metav1.ObjectMeta
	spec     *corev1.PodSpec
}

var restricted = api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}

// podIn is nil for an object that is no workload.
func podIn(document []byte) (*pod, error) {
	var object manifest
	if err := yaml.Unmarshal(document, &object); err != nil {
		return nil, err
	}
	name := object.Kind + "/" + object.Name
	switch object.Kind {
	case "Deployment", "StatefulSet", "Job":
		if object.Spec.Template == nil {
			return nil, fmt.Errorf("%s has no template", name)
		}
		return &pod{name, &object.Spec.Template.ObjectMeta, &object.Spec.Template.Spec}, nil
	case "Pod":
		var bare corev1.Pod
		if err := yaml.Unmarshal(document, &bare); err != nil {
			return nil, err
		}
		return &pod{name, &bare.ObjectMeta, &bare.Spec}, nil
	}
	return nil, nil
}

func podsIn(path string) ([]*pod, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var pods []*pod
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		found, err := podIn(document)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if found != nil {
			pods = append(pods, found)
		}
	}
	if len(pods) == 0 {
		return nil, fmt.Errorf("%s: there is no pod in it", path)
	}
	return pods, nil
}

func violations(evaluator policy.Evaluator, checked *pod) []string {
	var lines []string
	for _, result := range evaluator.EvaluatePod(restricted, checked.metadata, checked.spec) {
		if !result.Allowed {
			lines = append(lines, fmt.Sprintf("%s: %s: %s", checked.name, result.ForbiddenReason, result.ForbiddenDetail))
		}
	}
	return lines
}

func main() {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	count, code := 0, 0
	for _, path := range os.Args[1:] {
		pods, err := podsIn(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		for _, checked := range pods {
			count++
			if lines := violations(evaluator, checked); len(lines) > 0 {
				fmt.Println(path + ": " + strings.Join(lines, "\n"+path+": "))
				code = 1
			}
		}
	}
	fmt.Printf("%d pods in %d files\n", count, len(os.Args)-1)
	os.Exit(code)
}
