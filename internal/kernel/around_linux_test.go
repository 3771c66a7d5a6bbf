package kernel_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/stretchr/testify/assert"
)

// A watch notes the methods it hears of, and refuses them if it has an error.
type watch struct {
	before, after []string
	refuse        error
}

func (w *watch) Before(c *kernel.Call) error {
	w.before = append(w.before, c.Method.String())
	return w.refuse
}

func (w *watch) After(c *kernel.Call) { w.after = append(w.after, c.Method.String()) }

// callAll calls every method of the kernel with zero arguments but for
// descriptors, which are not open, and returns their names and errors.
func callAll(k kernel.Kernel) (names []string, errs []error) {
	value := reflect.ValueOf(k)
	sys := reflect.TypeFor[kernel.Kernel]()
	for i := range sys.NumMethod() {
		method := value.MethodByName(sys.Method(i).Name)
		var arguments []reflect.Value
		for j := range method.Type().NumIn() {
			argument := reflect.New(method.Type().In(j)).Elem()
			if argument.Kind() == reflect.Int {
				argument.SetInt(-100000)
			}
			arguments = append(arguments, argument)
		}
		results := method.Call(arguments)
		err, _ := results[len(results)-1].Interface().(error)
		names, errs = append(names, sys.Method(i).Name), append(errs, err)
	}
	return names, errs
}

func TestEveryMethodGoesThroughTheHook(t *testing.T) {
	w := &watch{}
	names, _ := callAll(kernel.Around(kernel.Linux(), w))
	assert.Len(t, names, kernel.Methods)
	assert.Equal(t, names, w.before)
	assert.Equal(t, names, w.after)
}

func TestAnErrorOfBeforeReplacesTheCall(t *testing.T) {
	w := &watch{refuse: errors.New("refused")}
	names, errs := callAll(kernel.Around(nil, w)) // nil: a call that is made panics
	assert.Equal(t, names, w.before)
	assert.Empty(t, w.after)
	for i, err := range errs {
		assert.Equal(t, w.refuse, err, names[i])
	}
}

func TestTheHookCostsNoAllocation(t *testing.T) {
	k := kernel.Around(kernel.Linux(), quiet{})
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = k.Close(-1) }))
}

type quiet struct{}

func (quiet) Before(*kernel.Call) error { return nil }
func (quiet) After(*kernel.Call)        {}
