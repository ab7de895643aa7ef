// Package tap writes TAP 13: what the programs of `runtime-tools` use of github.com/mndrix/tap-go, which no Debian package has.
package tap

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

type T struct {
	next   int
	todo   bool
	Writer io.Writer
}

func New() *T { return &T{next: 1, Writer: os.Stdout} }

func (t *T) printf(format string, values ...interface{}) {
	fmt.Fprintf(t.Writer, format, values...)
}

func (t *T) Header(count int) {
	t.printf("TAP version 13\n")
	if count > 0 {
		t.printf("1..%d\n", count)
	}
}

func (t *T) AutoPlan() { t.printf("1..%d\n", t.next-1) }

func (t *T) Ok(well bool, description string) {
	ok, todo := "ok", ""
	if !well {
		ok = "not ok"
	}
	if t.todo {
		todo = " # TODO"
	}
	t.printf("%s %d%s - %s\n", ok, t.next, todo, description)
	t.next++
}

func (t *T) Pass(description string) { t.Ok(true, description) }
func (t *T) Fail(description string) { t.Ok(false, description) }

func (t *T) Skip(count int, description string) {
	for i := 0; i < count; i++ {
		t.printf("ok %d # SKIP %s\n", t.next, description)
		t.next++
	}
}

func (t *T) Todo() *T {
	t.todo = true
	return t
}

func (t *T) Diagnostic(message string) {
	t.printf("# %s\n", strings.ReplaceAll(message, "\n", "\n# "))
}

func (t *T) Diagnosticf(format string, values ...interface{}) {
	t.Diagnostic(fmt.Sprintf(format, values...))
}

func (t *T) YAML(message interface{}) error {
	text, err := json.MarshalIndent(message, "  ", "  ")
	if err == nil {
		t.printf("  ---\n  %s\n  ...\n", text)
	}
	return err
}
