// The question for a name, at the first visit and whenever another one is wanted.

const $ = (id) => document.getElementById(id);

export class Naming {
  #named;
  #isNeeded = true;

  /** `named(name)` takes a name. */
  constructor(named) {
    this.#named = named;
    $('naming').addEventListener('close', () => {
      if (this.#isNeeded) this.ask($('name').value, $('naming-fault').textContent);
    });
    $('naming-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const name = $('name').value.trim().normalize('NFC');
      if (!name) return;
      this.#isNeeded = false;
      $('naming').close();
      this.#named(name);
    });
  }

  /** Asks, with this name to begin with, and says why the last one is not to be had. */
  ask(name, fault = '') {
    $('name').value = name;
    $('naming-fault').textContent = fault;
    if (!$('naming').open) $('naming').showModal();
    $('name').select();
  }

  /** Whether there is no chat without an answer. */
  set isNeeded(isNeeded) {
    this.#isNeeded = isNeeded;
  }
}
