// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Scene} from "../support/Scene.sol";
import {Wallet1271} from "../support/Wallet1271.sol";
import {TestUSDC} from "../tokens/TestUSDC.sol";
import {WeirdToken} from "../tokens/WeirdToken.sol";
import {ITaskEscrow} from "../../src/interfaces/ITaskEscrow.sol";
import {Authorization, Terms, Unsettleable} from "../../src/Types.sol";

/// `pay` and `publishTerms`.
contract PayTest is Scene {
    TestUSDC internal token;
    Terms internal terms;
    address internal escrow;
    uint256 internal payerKey = uint256(keccak256("payer"));
    address internal payer = vm.addr(payerKey);

    function setUp() public override {
        super.setUp();
        token = new TestUSDC();
        terms = _terms();
        terms.asset = address(token);
        escrow = ledger.escrowOf(terms);
        token.mint(payer, BUDGET);
    }

    function _authorize(address from, bytes32 nonce)
        internal
        view
        returns (Authorization memory authorization, bytes memory signature)
    {
        authorization = Authorization(from, BUDGET, 0, NOW + 120, nonce);
        bytes32 structHash = keccak256(
            abi.encode(token.TRANSFER_WITH_AUTHORIZATION_TYPEHASH(), from, escrow, BUDGET, 0, NOW + 120, nonce)
        );
        signature = _signature(payerKey, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash)));
    }

    function _split(bytes memory signature) internal pure returns (uint8 v, bytes32 r, bytes32 s) {
        assembly {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
            v := byte(0, mload(add(signature, 0x60)))
        }
    }

    function test_M5b_pay_moves_the_money_and_publishes_the_terms() public {
        (Authorization memory authorization, bytes memory signature) = _authorize(payer, "1");
        (uint8 v, bytes32 r, bytes32 s) = _split(signature);
        vm.expectEmit();
        emit ITaskEscrow.TermsPublished(ledger.hashTerms(terms), escrow, terms);
        vm.expectEmit();
        emit ITaskEscrow.Funded(ledger.hashTerms(terms), payer, BUDGET, "1");
        ledger.pay(terms, authorization, v, r, s);
        assertEq(token.balanceOf(escrow), BUDGET);
        assertEq(escrow.code.length, 0, "no code before the end");
    }

    function test_a_contract_wallet_pays_with_a_bytes_signature() public {
        Wallet1271 wallet = new Wallet1271(payer);
        token.mint(address(wallet), BUDGET);
        (Authorization memory authorization, bytes memory signature) = _authorize(address(wallet), "1");
        ledger.pay(terms, authorization, signature);
        assertEq(token.balanceOf(escrow), BUDGET);
    }

    /// #37: somebody sends the authorization to the token first. The money is where it belongs, `pay` says why it was
    /// refused, and the terms can still be published.
    function test_threat_37_a_front_run_authorization_is_refused_with_the_tokens_reason() public {
        (Authorization memory a, bytes memory signature) = _authorize(payer, "1");
        token.transferWithAuthorization(a.from, escrow, a.value, a.validAfter, a.validBefore, a.nonce, signature);
        bytes memory reason = abi.encodeWithSignature("Error(string)", "FiatTokenV2: authorization is used or canceled");
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.PaymentRefused.selector, reason));
        ledger.pay(terms, a, signature);
        assertEq(token.balanceOf(escrow), BUDGET);
        vm.expectEmit();
        emit ITaskEscrow.TermsPublished(ledger.hashTerms(terms), escrow, terms);
        ledger.publishTerms(terms);
    }

    function test_an_authorization_for_another_receiver_pays_nothing() public {
        (Authorization memory authorization, bytes memory signature) = _authorize(payer, "1");
        terms.salt = "another escrow";
        vm.expectPartialRevert(ITaskEscrow.PaymentRefused.selector);
        ledger.pay(terms, authorization, signature);
        assertEq(token.balanceOf(payer), BUDGET);
    }

    function test_PaymentRefused_passes_on_at_most_256_bytes() public {
        WeirdToken bomb = new WeirdToken();
        bomb.misbehave(WeirdToken.Mode.Bomb, address(0));
        terms.asset = address(bomb);
        (Authorization memory authorization, bytes memory signature) = _authorize(payer, "1");
        (bool ok, bytes memory answer) = address(ledger)
            .call(
                abi.encodeWithSignature(
                    "pay((uint8,uint8,uint16,uint16,uint96,uint96,uint64,uint64,uint64,uint256,bytes32,address,address,bytes32,address,address,bytes32),(address,uint256,uint256,uint256,bytes32),bytes)",
                    terms,
                    authorization,
                    signature
                )
            );
        assertFalse(ok);
        assertEq(answer.length, 4 + 64 + 256);
    }

    function test_pay_AlreadySettled() public {
        (Authorization memory authorization, bytes memory signature) = _authorize(payer, "1");
        token.mint(escrow, BUDGET);
        _settleThree(terms);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.AlreadySettled.selector, ledger.hashTerms(terms)));
        ledger.pay(terms, authorization, signature);
    }

    function test_pay_NotSettleable() public {
        terms.chainId = 1;
        (Authorization memory authorization, bytes memory signature) = _authorize(payer, "1");
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.NotSettleable.selector, Unsettleable.WrongChain));
        ledger.pay(terms, authorization, signature);
    }

    function test_pay_TooLate_at_settleBy_exactly() public {
        terms.settleBy = NOW + 60;
        terms.refundAfter = NOW + 660;
        escrow = ledger.escrowOf(terms);
        (Authorization memory authorization, bytes memory signature) = _authorize(payer, "1");
        uint256 start = vm.snapshotState();
        vm.warp(NOW + 60);
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.TooLate.selector, NOW + 60, NOW + 60));
        ledger.pay(terms, authorization, signature);
        vm.revertToState(start);
        vm.warp(NOW + 59);
        ledger.pay(terms, authorization, signature);
        assertEq(token.balanceOf(escrow), BUDGET);
    }

    /// A token that takes a fee, or whose fallback swallows the call, must not count as having paid.
    function test_PaymentShort() public {
        WeirdToken fee = new WeirdToken();
        fee.misbehave(WeirdToken.Mode.Fee, address(0));
        fee.mint(payer, BUDGET);
        terms.asset = address(fee);
        (Authorization memory authorization, bytes memory signature) = _authorize(payer, "1");
        vm.expectRevert(
            abi.encodeWithSelector(ITaskEscrow.PaymentShort.selector, BUDGET - BUDGET / 100, uint256(BUDGET))
        );
        ledger.pay(terms, authorization, signature);
        fee.misbehave(WeirdToken.Mode.ReturnsFalse, address(0));
        vm.expectRevert(abi.encodeWithSelector(ITaskEscrow.PaymentShort.selector, 0, uint256(BUDGET)));
        ledger.pay(terms, authorization, signature);
    }

    function test_publishTerms_takes_any_terms_at_any_time() public {
        terms.version = 9;
        vm.warp(REFUND_AFTER + 1000 days);
        vm.expectEmit();
        emit ITaskEscrow.TermsPublished(ledger.hashTerms(terms), ledger.escrowOf(terms), terms);
        assertEq(ledger.publishTerms(terms), ledger.hashTerms(terms));
    }
}
