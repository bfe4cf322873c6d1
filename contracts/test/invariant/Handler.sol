// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Scene} from "../support/Scene.sol";
import {WeirdToken} from "../tokens/WeirdToken.sol";
import {Row, SettlementReceipt, Signature, Terms, ValidatorSet} from "../../src/Types.sol";

/// Everybody who can touch an escrow, doing anything at any time: two escrows, one that refunds on silence and one that a
/// majority settles. Calls that the ledger refuses are part of the story; each must have changed nothing.
contract Handler is Scene {
    uint256 internal constant ESCROWS = 2;

    Terms[2] internal terms;
    address[2] public escrows;
    bytes32[2] public hashes;
    address[] public parties;

    uint256[2] public deposited;
    uint256[2] public settlements;
    uint256[2] public sweeps;
    bool[2] public marked;
    /// Broken promises, in words; empty while all hold.
    string public broken;
    uint256 public done;
    uint256 public refused;

    constructor() {
        setUp();
        for (uint256 i; i < ESCROWS; ++i) {
            Terms memory made = _terms(_set(4, 5));
            made.onSilence = uint8(i);
            made.salt = bytes32(i);
            if (i == 1) made.commissionPayee = workers[0];
            terms[i] = made;
            escrows[i] = ledger.escrowOf(made);
            hashes[i] = ledger.hashTerms(made);
        }
        for (uint256 i; i < workers.length; ++i) {
            parties.push(workers[i]);
        }
        parties.push(creator);
        parties.push(gateway);
        parties.push(buyer);
    }

    function token() external view returns (address) {
        return address(usdc);
    }

    function ledgerAddress() external view returns (address) {
        return address(ledger);
    }

    function partyCount() external view returns (uint256) {
        return parties.length;
    }

    // ---- what people do

    function deposit(uint256 which, uint96 amount) external {
        which %= ESCROWS;
        amount = uint96(bound(amount, 1, 2 * uint256(BUDGET)));
        usdc.mint(escrows[which], amount);
        deposited[which] += amount;
    }

    function passTime(uint256 seed) external {
        uint64[7] memory steps = [1, 600, uint64(3_599), 3_600, 1 days, 179 days, 180 days];
        vm.warp(vm.getBlockTimestamp() + steps[seed % 7]);
    }

    function toTheEdge(uint256 seed) external {
        uint64[4] memory edges = [SETTLE_BY - 1, SETTLE_BY, REFUND_AFTER - 1, REFUND_AFTER];
        uint64 edge = edges[seed % 4];
        if (edge > vm.getBlockTimestamp()) vm.warp(edge);
    }

    function freeze(uint256 who, bool value) external {
        usdc.setBlocked(parties[who % parties.length], value);
    }

    function settle(uint256 which, uint256 signers, uint256 rowSeed, uint96 amount) external {
        which %= ESCROWS;
        signers %= 6;
        SettlementReceipt memory receipt = _receipt(rowSeed, uint96(bound(amount, 1, BUDGET)));
        Signature[] memory signatures = _sign(terms[which], receipt, signers);
        uint256 before = usdc.balanceOf(escrows[which]);
        ValidatorSet memory set = _set(4, 5);
        uint256 need = ledger.neededSignatures(terms[which], set);
        try ledger.settle(terms[which], receipt, set, signatures) {
            ++done;
            if (signers < need) broken = "M2a: settled with too few signatures";
            if (vm.getBlockTimestamp() >= REFUND_AFTER) broken = "M4a: settled at or after refundAfter";
            if (++settlements[which] > 1) broken = "M2e: settled twice";
            if (marked[which]) broken = "M4b: settled after the mark";
            marked[which] = true;
            _expectWithin(which, receipt, before);
        } catch {
            _refused(which, before);
        }
    }

    /// M2b and M2c, computed here from the rows alone.
    function _expectWithin(uint256 which, SettlementReceipt memory receipt, uint256 before) private {
        uint256 owed;
        uint256 validators;
        for (uint256 i; i < receipt.rows.length; ++i) {
            uint256 amount = receipt.rows[i].amount;
            owed += amount;
            if (receipt.rows[i].role == 1) validators += amount;
        }
        if (owed > BUDGET || owed > before) broken = "M2b: owed above budget or balance";
        if (validators > FEE_CAP) broken = "M2c: validators above their cap";
        if (usdc.balanceOf(escrows[which]) > before) broken = "a settlement added money";
    }

    function _receipt(uint256 seed, uint96 amount) private view returns (SettlementReceipt memory receipt) {
        uint256 n = seed % 4;
        receipt.receiptCid = bytes32(seed);
        receipt.outcome = n == 0 ? 2 : 1;
        receipt.rows = new Row[](n);
        for (uint256 i; i < n; ++i) {
            receipt.rows[i] = Row(workers[i], uint8(seed >> (8 + i) & 1), uint96(amount / n + 1));
        }
    }

    function sweep(uint256 which, bool redirected, uint256 to) external {
        which %= ESCROWS;
        uint256 before = usdc.balanceOf(escrows[which]);
        uint256 credits = ledger.creditsOf(hashes[which]);
        bool early = vm.getBlockTimestamp() < REFUND_AFTER && !marked[which];
        bool lapsed = vm.getBlockTimestamp() >= uint256(REFUND_AFTER) + 180 days;
        bool swept;
        if (redirected) {
            vm.prank(buyer);
            try ledger.sweepTo(terms[which], address(usdc), parties[to % parties.length]) {
                swept = true;
            } catch {}
        } else {
            try ledger.sweep(terms[which], address(usdc)) {
                swept = true;
            } catch {}
        }
        if (!swept) return _refused(which, before);
        ++done;
        ++sweeps[which];
        marked[which] = true;
        if (early) broken = "M4a: swept before refundAfter";
        if (usdc.balanceOf(escrows[which]) != (lapsed ? 0 : credits)) {
            broken = "M1b: a sweep left more or less than credits";
        }
    }

    /// M2a, M5c: another token never opens a way to the money or to the mark.
    function sweepOther(uint256 which, uint96 amount) external {
        which %= ESCROWS;
        uint256 before = usdc.balanceOf(escrows[which]);
        bool early = vm.getBlockTimestamp() < REFUND_AFTER && !marked[which];
        WeirdToken other = new WeirdToken();
        other.mint(escrows[which], uint256(amount) + 1);
        try ledger.sweep(terms[which], address(other)) {
            ++done;
            if (early) broken = "threat 42: another token swept early";
            marked[which] = true;
        } catch {}
        if (usdc.balanceOf(escrows[which]) != before) broken = "another token's sweep moved the asset";
    }

    function claim(uint256 which, uint256 who, bool redirected, uint256 to) external {
        which %= ESCROWS;
        address payee = parties[who % parties.length];
        uint256 before = usdc.balanceOf(escrows[which]);
        uint256 credit = ledger.creditOf(hashes[which], payee);
        bool claimed;
        if (redirected) {
            vm.prank(payee);
            try ledger.claimCreditTo(terms[which], parties[to % parties.length]) {
                claimed = true;
            } catch {}
        } else {
            try ledger.claimCredit(terms[which], payee) {
                claimed = true;
            } catch {}
        }
        if (!claimed) return _refused(which, before);
        ++done;
        if (before - usdc.balanceOf(escrows[which]) != credit) broken = "a claim paid another amount than the credit";
        if (ledger.creditOf(hashes[which], payee) != 0) broken = "a claim left its credit";
    }

    function _refused(uint256 which, uint256 before) private {
        ++refused;
        if (usdc.balanceOf(escrows[which]) != before) broken = "a refusal moved money";
        if ((escrows[which].code.length != 0) != marked[which]) broken = "a refusal changed the mark";
    }

    /// M5a: anyone-calls and time alone empty every escrow once nobody is frozen any more.
    function empty() external {
        for (uint256 i; i < parties.length; ++i) {
            usdc.setBlocked(parties[i], false);
        }
        vm.warp(vm.getBlockTimestamp() + 400 days);
        for (uint256 i; i < ESCROWS; ++i) {
            if (usdc.balanceOf(escrows[i]) != 0) ledger.sweep(terms[i], address(usdc));
            require(usdc.balanceOf(escrows[i]) == 0, "M5a: money is stuck");
        }
    }
}
