import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'

/** The element that has the focus, as a person sees it. */
export interface Stop {
  readonly name: string
  readonly isInSight: boolean
  readonly isMarked: boolean
  /** Whether the window shows all of its width. */
  readonly isWhole: boolean
}

/** Goes to the next element by keyboard. @returns undefined behind the last one */
export async function nextStop(page: Page): Promise<Stop | undefined> {
  await page.keyboard.press('Tab')
  return (await page.evaluate(`(() => {
    let element = document.activeElement
    if (element === null || element === document.body) return undefined
    const outer = element
    while (element.shadowRoot?.activeElement) element = element.shadowRoot.activeElement
    element.wasReached = true
    const name = element.getAttribute('aria-label') || element.labels?.[0]?.textContent || element.textContent || element.title
    const box = element.getBoundingClientRect()
    const middleY = box.top + Math.min(box.height / 2, 10)
    // A frame higher than the window reaches below the bars.
    const barsY = parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop)
    const at = document.elementFromPoint(box.left + box.width / 2, box.height > 100 ? Math.max(middleY, barsY) : middleY)
    const style = getComputedStyle(element)
    const frame = getComputedStyle(outer.closest('.statement') ?? element)
    const seen = { left: Math.max(0, box.left), right: Math.min(innerWidth, box.right) }
    for (let around = element.parentElement; around !== null && style.position !== 'fixed'; around = around.parentElement) {
      if (getComputedStyle(around).overflowX === 'visible') continue
      const clip = around.getBoundingClientRect()
      seen.left = Math.max(seen.left, clip.left)
      seen.right = Math.min(seen.right, clip.right)
    }
    return {
      name: name.trim().slice(0, 60),
      isInSight: at !== null && (outer.contains(at) || at.contains(outer) || outer.closest('label')?.contains(at) === true),
      isMarked: (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1) || frame.borderColor !== getComputedStyle(document.querySelector('.card') ?? element).borderColor,
      isWhole: seen.right - seen.left > box.width - 1,
    }
  })()`)) as Stop | undefined
}

/** Goes through all controls of a page by keyboard, each of which has a name, is in full sight and is marked. */
export async function walkControls(page: Page, maxStops: number): Promise<void> {
  let stops = 0
  for (; stops < maxStops; stops += 1) {
    const stop = await nextStop(page)
    if (stop === undefined) break
    assert.deepEqual(
      { ...stop, name: stop.name !== '' },
      { name: true, isInSight: true, isMarked: true, isWhole: true },
      stop.name,
    )
  }
  assert.ok(stops > 10, `${stops} stops`)
}

/** @returns the controls of a page that Tab did not reach, by their names */
export function missedControls(page: Page): Promise<readonly string[]> {
  return page.evaluate(`(() => {
    const controls = document.querySelectorAll('a[href], button:enabled, input:enabled, select, summary, [tabindex="0"]')
    return [...controls]
      .filter((element) => element.checkVisibility({ visibilityProperty: true }) && element.tabIndex >= 0 && !element.wasReached)
      .map((element) => (element.getAttribute('aria-label') ?? element.textContent).trim().slice(0, 60))
  })()`)
}

/** @returns texts of a page that are cut off, where nothing else shows them whole */
export function cutTexts(page: Page): Promise<readonly string[]> {
  return page.evaluate(`(() => {
    const found = []
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
      const { currentNode: node } = walker
      const range = document.createRange()
      range.selectNodeContents(node)
      const box = range.getBoundingClientRect()
      if (box.width < 2 || node.data.trim() === '') continue
      for (let around = node.parentElement; around !== null; around = around.parentElement) {
        const { overflowX, textOverflow, clipPath } = getComputedStyle(around)
        // A record is opened whole, and a tooltip has the whole text.
        if (textOverflow === 'ellipsis' && around.closest('[role=row], .session button, [title]') !== null) break
        // One can scroll to it, or it is for screen readers alone.
        if (overflowX === 'auto' || overflowX === 'scroll' || clipPath !== 'none') break
        const edge = around === document.documentElement ? { left: 0, right: innerWidth } : around.getBoundingClientRect()
        if ((overflowX !== 'visible' || around === document.documentElement) && (box.left < edge.left - 1 || box.right > edge.right + 1)) {
          found.push(around.className + ': ' + node.data.slice(0, 60))
          break
        }
      }
    }
    return found
  })()`)
}

/** Presses Tab until the element of that name has the focus. */
export async function tabTo(page: Page, name: RegExp | string, maxStops = 80): Promise<void> {
  const passed: string[] = []
  for (let stops = 0; stops < maxStops; stops += 1) {
    const stop = await nextStop(page)
    if (stop !== undefined && (typeof name === 'string' ? stop.name === name : name.test(stop.name))) return
    passed.push(stop?.name ?? 'the end')
  }
  assert.fail(`${name} was not reached: ${passed.join(' | ')}`)
}
