package reports

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Plot is where a chart's parts stand in a box of a width and a height, from its upper left corner. A page and a PDF draw
// the same one.
type Plot struct {
	Bars  []PlotBar
	Lines []PlotLine
	Marks []PlotMark
	// Base is where the bars stand, Left where they begin.
	Base, Left float64
}

// PlotBar is a bar. Its title says the value.
type PlotBar struct {
	X, Y, W, H float64
	Title      string
	IsMarked   bool
}

// PlotLine is a line of the scale, with its number.
type PlotLine struct {
	Y     float64
	Label string
}

// PlotMark is a label below a bar, centred at X.
type PlotMark struct {
	X     float64
	Label string
}

// The chart's margins: for the numbers of the scale, for the labels below, and above the highest line.
const (
	plotLeft, plotBelow, plotAbove = 48, 20, 8
	// barShare is how much of its place a bar takes.
	barShare = 0.7
	// markEvery is how many bars have one label.
	markEvery = 7
)

// PlotOf places a chart in a box.
func PlotOf(c Chart, width, height float64) Plot {
	p := Plot{Left: plotLeft, Base: height - plotBelow}
	steps, step := scale(c.Most())
	top := float64(step) * float64(steps)
	full := p.Base - plotAbove
	for i := range steps + 1 {
		value := c.Unit
		value.Number = step * int64(i)
		p.Lines = append(p.Lines, PlotLine{Y: p.Base - full*float64(i)/float64(steps), Label: value.compact()})
	}
	place := (width - plotLeft) / float64(max(len(c.Bars), 1))
	for i, b := range c.Bars {
		h := 0.0
		if b.Value.Number > 0 {
			h = max(full*float64(b.Value.Number)/top, 1)
		}
		x := plotLeft + place*float64(i)
		p.Bars = append(p.Bars, PlotBar{
			X: x + place*(1-barShare)/2, Y: p.Base - h, W: place * barShare, H: h, Title: b.Long + ": " + b.Value.String(), IsMarked: b.IsMarked,
		})
		if (len(c.Bars)-1-i)%markEvery == 0 {
			p.Marks = append(p.Marks, PlotMark{X: x + place/2, Label: b.Label})
		}
	}
	return p
}

// scale is a scale up to at least most: a few steps of 1, 2 or 5 times a power of ten.
func scale(most int64) (steps int, step int64) {
	const wanted = 4
	step = 1
	for _, factor := range tens() {
		for _, m := range []int64{1, 2, 5} {
			high, product := bits.Mul64(uint64(m), uint64(factor)) //nolint:gosec // neither is negative
			if high > 0 || product > math.MaxInt64/(wanted+1) {
				return wanted, math.MaxInt64 / wanted
			}
			if step = m * factor; step*wanted >= most {
				return max(int((most+step-1)/step), 1), step
			}
		}
	}
	return wanted, step
}

// tens are the powers of ten that fit.
func tens() []int64 {
	const powers = 19
	all := make([]int64, powers)
	for i, n := 0, int64(1); i < powers; i++ {
		all[i] = n
		if i < powers-1 {
			n *= 10
		}
	}
	return all
}

// compact is a number as a scale has it: 1,250,000.00 is 1.25M.
func (c Cell) compact() string {
	value := float64(c.Number) / math.Pow10(c.Digits())
	unit := ""
	for _, u := range []struct {
		name string
		of   float64
	}{{"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"k", 1e3}} {
		if value >= u.of {
			value, unit = value/u.of, u.name
			break
		}
	}
	text := strconv.FormatFloat(value, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + unit
}
