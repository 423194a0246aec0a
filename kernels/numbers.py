"""Tables of numbers in text: rows counted, cells read as the nearest float64.

A row is a line with more than blanks that does not start with "#" or "%". Lines end with LF, CRLF
or CR. Cells are parted by one character, or by runs of blanks and tabs (delimiter 0); blanks around
a cell do not count. A number is [+-]digits[.digits][e[+-]digits] and becomes the float64 that is
nearest to it, as Python's float() does, by the method of Lemire (2021), "Number parsing at a
gigabyte per second". What `read_rows` cannot settle (words, quotes, 20 digits) is left to its
caller, who fills the value in and calls it again.
"""

import numpy as np

from kernels._jit import njit

END, ODD, FEW, MANY = range(4)  # what read_rows returns
SKIPPED, NAME = -1, -2  # targets that are no column of the values
POSITION, ROW, COLUMN, LINE, ROW_START, CELL, FILLED = range(7)  # of its state

_LOWEST, _HIGHEST = -290, 280  # exponents of ten that can neither vanish nor overflow
_MOST_DIGITS = 19  # fit in 64 bits
_U = np.uint64
_FRACTION = _U((1 << 52) - 1)


def new_state() -> np.ndarray:
    """The state with which a text begins: line and row 0 are the first."""
    return np.zeros(7, np.int64)


def _powers_of_five() -> np.ndarray:
    """(exponents, 2) uint64: the first 128 bits of 5**q, high half first, rounded as proven."""
    rows = []
    for q in range(_LOWEST, _HIGHEST + 1):
        five = 5 ** abs(q)
        if q >= 0:
            shift = 128 - five.bit_length()
            value = five << shift if shift >= 0 else five >> -shift
        else:
            bits = (five - 1).bit_length()
            value = (1 << (bits + 127 if q >= -27 else 2 * bits + 128)) // five + 1
            value >>= max(value.bit_length() - 128, 0)
        rows.append((value >> 64, value & (2**64 - 1)))
    return np.array(rows, np.uint64)


_POWERS = _powers_of_five()


@njit
def count_rows(text):
    """(rows, lines) of text, (bytes,) uint8. A last line without an end counts."""
    position = rows = lines = 0
    while position < text.size:
        position = _skip_blanks(text, position, True)
        rows += _is_data(text, position)
        while position < text.size and not _is_end(text[position]):
            position += 1
        position = _next_line(text, position)
        lines += 1
    return rows, lines


@njit
def read_rows(text, delimiter, targets, bits, spans, state):
    """Fill the rows of a text until its END or until something else; which of the four it is.

    text       (bytes,) uint8 that starts and ends where lines do
    delimiter  byte between cells, 0 for blanks
    targets    (cells,) int64 per cell of a row: its column of the values, SKIPPED or NAME
    bits       (rows, d) uint64: the float64 values, as their bits
    spans      (rows, 2) int64: start and stop of the NAME cell; (0, 2) when there is none
    state      see new_state; CELL to POSITION is the cell that is ODD. The caller writes its value
               and calls again, with FILLED set to 1. FEW and MANY are about the row at ROW_START.
    """
    position, row, column = state[POSITION], state[ROW], state[COLUMN]
    line, row_start = state[LINE], state[ROW_START]
    filled = state[FILLED] == 1
    state[FILLED] = 0
    outcome = END
    while position < text.size or column > 0 or filled:
        if column == 0 and not filled:
            row_start = position
            start = _skip_blanks(text, position, True)
            if not _is_data(text, start):
                while start < text.size and not _is_end(text[start]):
                    start += 1
                position = _next_line(text, start)
                line += 1
                continue
        if not filled:
            position = _skip_blanks(text, position, delimiter != 9)
            state[CELL] = position
            if column == targets.size:
                outcome = MANY
                break
            target = targets[column]
            if target >= 0:
                value, stop = _number(text, position)
                if stop < 0 or not _is_after(text, stop, delimiter):
                    position = _cell_end(text, position, delimiter)
                    outcome = ODD
                    break
                bits[row, target] = value
                position = stop
            else:
                stop = _cell_end(text, position, delimiter)
                if target == NAME:
                    spans[row, 0], spans[row, 1] = position, stop
                position = stop
        filled = False
        position = _skip_blanks(text, position, delimiter != 9)
        column += 1
        if position < text.size and not _is_end(text[position]):
            position += delimiter != 0
            continue
        if column < targets.size:
            outcome = FEW
            break
        position = _next_line(text, position)
        row, column, line = row + 1, 0, line + 1
    state[POSITION], state[ROW], state[COLUMN] = position, row, column
    state[LINE], state[ROW_START] = line, row_start
    return outcome


@njit
def _is_end(byte):
    return byte == 10 or byte == 13


@njit
def _is_data(text, position):
    """Whether a row starts at the first character of a line that is no blank."""
    if position >= text.size:
        return False
    byte = text[position]
    return not (_is_end(byte) or byte == 35 or byte == 37)


@njit
def _skip_blanks(text, position, tabs):
    while position < text.size and (text[position] == 32 or (tabs and text[position] == 9)):
        position += 1
    return position


@njit
def _next_line(text, position):
    """Behind the line end at position, if there is one."""
    if position >= text.size:
        return position
    if text[position] == 13 and position + 1 < text.size and text[position + 1] == 10:
        return position + 2
    return position + 1


@njit
def _is_after(text, position, delimiter):
    """Whether a cell may end here: blanks, then the delimiter or the end of the line."""
    start = position
    position = _skip_blanks(text, position, delimiter != 9)
    if position >= text.size or _is_end(text[position]):
        return True
    return text[position] == delimiter or (delimiter == 0 and position > start)


@njit
def _cell_end(text, position, delimiter):
    """Behind the last byte of the cell at position. A cell in double quotes ends behind them."""
    if position < text.size and text[position] == 34:
        stop = position + 1
        while stop < text.size and not _is_end(text[stop]):
            if text[stop] == 34:
                if stop + 1 >= text.size or text[stop + 1] != 34:
                    break
                stop += 1
            stop += 1
        if stop < text.size and text[stop] == 34 and _is_after(text, stop + 1, delimiter):
            return stop + 1
    while position < text.size and not _is_end(text[position]):
        byte = text[position]
        if byte == delimiter or (delimiter == 0 and (byte == 32 or byte == 9)):
            break
        position += 1
    return position


@njit
def _number(text, position):
    """(bits of the float64, position behind it); a position of -1 when this is no plain number."""
    sign = _U(0)
    if position < text.size and (text[position] == 45 or text[position] == 43):
        sign = _U(text[position] == 45) << _U(63)
        position += 1
    digits, exponent, seen, point = _U(0), 0, 0, -1
    start = position
    while position < text.size:
        byte = text[position]
        if 48 <= byte <= 57:
            digits = digits * _U(10) + _U(byte - 48)
            seen += digits != _U(0)
        elif byte == 46 and point < 0:
            point = position
        else:
            break
        position += 1
    if seen > _MOST_DIGITS or position - start == (point >= 0):
        return _U(0), -1
    if point >= 0:
        exponent = point + 1 - position
    if position < text.size and (text[position] == 101 or text[position] == 69):
        power, position = _exponent(text, position + 1)
        if position < 0:
            return _U(0), -1
        exponent += power
    if digits == _U(0):
        return sign, position
    if exponent < _LOWEST or exponent > _HIGHEST:
        return _U(0), -1
    value, sure = _nearest(digits, exponent)
    return value | sign, position if sure else -1


@njit
def _exponent(text, position):
    """(exponent, position behind it); a position of -1 when there is none of up to 4 digits."""
    negative = False
    if position < text.size and (text[position] == 45 or text[position] == 43):
        negative = text[position] == 45
        position += 1
    start, power = position, 0
    while position < text.size and 48 <= text[position] <= 57 and position < start + 5:
        power = power * 10 + (text[position] - 48)
        position += 1
    if not start < position < start + 5:
        return 0, -1
    return -power if negative else power, position


@njit
def _nearest(digits, exponent):
    """(bits of the float64 nearest to digits * 10**exponent, whether that is certain)."""
    zeros = _leading_zeros(digits)
    digits <<= _U(zeros)
    high, low = _product(digits, _POWERS[exponent - _LOWEST, 0])
    if high & _U(0x1FF) == _U(0x1FF):
        more, _ = _product(digits, _POWERS[exponent - _LOWEST, 1])
        low += more
        high += _U(low < more)
    if low == _U(0xFFFFFFFFFFFFFFFF) and (exponent < -27 or exponent > 55):
        return _U(0), False
    upper = high >> _U(63)
    shift = upper + _U(9)
    mantissa = high >> shift
    power = ((217706 * exponent) >> 16) + 63 + np.int64(upper) - zeros + 1023
    if power <= 0 or power >= 2046:
        return _U(0), False
    near_half = low <= _U(1) and -4 <= exponent <= 23 and mantissa & _U(3) == _U(1)
    if near_half and mantissa << shift == high:  # half way: round to even
        mantissa &= ~_U(1)
    mantissa += mantissa & _U(1)
    mantissa >>= _U(1)
    if mantissa >= _U(1 << 53):
        mantissa, power = _U(1 << 52), power + 1
    return (mantissa & _FRACTION) | (_U(power) << _U(52)), True


@njit
def _leading_zeros(value):
    zeros = 0
    for step in (32, 16, 8, 4, 2, 1):
        if value >> _U(64 - step) == _U(0):
            value <<= _U(step)
            zeros += step
    return zeros


@njit
def _product(a, b):
    """(high, low) halves of the 128 bits of a * b."""
    mask, half = _U(0xFFFFFFFF), _U(32)
    a0, a1, b0, b1 = a & mask, a >> half, b & mask, b >> half
    cross = a1 * b0 + ((a0 * b0) >> half)
    other = a0 * b1 + (cross & mask)
    return a1 * b1 + (cross >> half) + (other >> half), a * b
